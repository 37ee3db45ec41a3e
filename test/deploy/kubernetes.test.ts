/**
 * The manifests of deploy/kubernetes, rendered with an overlay that its set-up has written: Kubernetes' own schemas take them, and they ask the
 * service for what it has. No cluster runs them here.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Validator } from "@cfworker/json-schema";
import { afterAll, assert, beforeAll, describe, it, type TestContext } from "vitest";
import { parse, parseAllDocuments, stringify } from "yaml";

import { createAuthority } from "../support/certificates.ts";
import { requestHttp1 } from "../support/raw-http.ts";
import { startTestServer } from "../support/test-server.ts";
import { kubernetesValidate, kustomize } from "../support/tools.ts";
import serviceMonitorSchema from "./service-monitor.schema.json" with { type: "json" };

const root = join(import.meta.dirname, "../..");
const setUp = join(root, "deploy/kubernetes/set-up");
const page = readFileSync(join(root, "docs/deploy.md"), "utf8");
const configuration = readFileSync(join(root, "docs/configuration.md"), "utf8");

// oxlint-disable-next-line typescript/no-explicit-any -- a manifest has any shape
type Manifest = any;

describe("the manifests for Kubernetes", { timeout: 300_000 }, () => {
  let folder = "";
  let problem: string | undefined;
  let rendered = "";
  let manifests: readonly Manifest[] = [];

  const of = (kind: string, name = "mlxd"): Manifest =>
    manifests.find((each) => each.kind === kind && each.metadata.name === name) ??
    assert.fail(`there is no ${kind} ${name}`);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "mlxd-kubernetes-"));
    const render = await kustomize();
    if (typeof render === "string") return void (problem = render);
    if ((await createAuthority(folder, "probe")) === undefined) return void (problem = "openssl makes no certificate");
    await promisify(execFile)(setUp, [join(folder, "cluster"), "inference", "registry.example/mlxd:1.2"]);
    rendered = await render(join(folder, "cluster"));
    manifests = parseAllDocuments(rendered).map((document) => document.toJS());
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const ready = (context: TestContext): void => {
    if (problem !== undefined) context.skip(problem);
  };

  it("are what Kubernetes takes, strictly, in an old and in a new version", async (context) => {
    ready(context);
    const validate = await kubernetesValidate();
    if (typeof validate === "string") return context.skip(validate);
    const own = manifests.filter(({ kind }) => kind !== "ServiceMonitor");
    const file = join(folder, "rendered.yaml");
    writeFileSync(file, own.map((manifest) => stringify(manifest, { aliasDuplicateObjects: false })).join("---\n"));
    assert.strictEqual(own.length, 8);
    for (const version of ["1.30", "1.37"]) assert.strictEqual(await validate(file, version), "", version);
    // And it would say so.
    const broken = join(folder, "broken.yaml");
    writeFileSync(broken, readFileSync(file, "utf8").replace("maxUnavailable:", "maxUnavailables:"));
    assert.include(await validate(broken, "1.37"), "maxUnavailables");
  });

  it("have a ServiceMonitor that the Prometheus operator takes", (context) => {
    ready(context);
    const validator = new Validator(serviceMonitorSchema as object, "2020-12");
    const { valid, errors } = validator.validate(of("ServiceMonitor"));
    assert.isTrue(valid, JSON.stringify(errors));
    const wrong = structuredClone(of("ServiceMonitor"));
    wrong.spec.endpoints[0].intervall = "10s";
    assert.isFalse(validator.validate(wrong).valid);
  });

  it("probe pages that the service has, on its port, by TLS", async (context) => {
    ready(context);
    const [container] = of("StatefulSet").spec.template.spec.containers;
    await using server = await startTestServer();
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
      const { path, port, scheme } = container[probe].httpGet;
      assert.strictEqual(scheme, "HTTPS");
      assert.strictEqual(container.ports.find(({ name }: { name: string }) => name === port).containerPort, 50051);
      const { status } = await requestHttp1(server.port, { method: "GET", path });
      assert.include([200, 503], status, path);
    }
  });

  it("set what the service knows, and leave it time to drain", (context) => {
    ready(context);
    const { containers, terminationGracePeriodSeconds } = of("StatefulSet").spec.template.spec;
    const settings = new Map<string, string>(containers[0].env.map(({ name, value }: Manifest) => [name, value]));
    for (const name of settings.keys()) assert.include(configuration, `\`${name}\``);
    const seconds = ["MLXD_DRAIN_GRACE_MS", "MLXD_DRAIN_MS"].reduce(
      (sum, name) => sum + Number(settings.get(name)) / 1000,
      0,
    );
    const preStop = Number(containers[0].lifecycle.preStop.exec.command[1]);
    assert.isAtLeast(terminationGracePeriodSeconds, preStop + seconds + 15);
    // Calls are still taken until every pod that forwards them has seen that this one is not ready.
    const { periodSeconds, failureThreshold } = containers[0].readinessProbe;
    assert.isAtLeast(Number(settings.get("MLXD_DRAIN_GRACE_MS")) / 1000, periodSeconds * failureThreshold * 2);
  });

  it("are what the restricted profile of pod security allows", (context) => {
    ready(context);
    const { securityContext, containers, volumes, hostNetwork, automountServiceAccountToken } =
      of("StatefulSet").spec.template.spec;
    assert.isTrue(securityContext.runAsNonRoot);
    assert.notStrictEqual(securityContext.runAsUser, 0);
    assert.strictEqual(securityContext.seccompProfile.type, "RuntimeDefault");
    assert.isFalse(automountServiceAccountToken);
    assert.isUndefined(hostNetwork);
    assert.deepInclude(containers[0].securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
    });
    assert.deepStrictEqual(containers[0].securityContext.capabilities, { drop: ["ALL"] });
    for (const volume of volumes) assert.isTrue("secret" in volume || "emptyDir" in volume);
  });

  it("select these pods and no others of the namespace", (context) => {
    ready(context);
    const labels = { "app.kubernetes.io/name": "mlxd" };
    assert.deepStrictEqual(of("NetworkPolicy").spec.podSelector.matchLabels, labels);
    assert.deepStrictEqual(of("PodDisruptionBudget").spec.selector.matchLabels, labels);
    assert.deepStrictEqual(of("StatefulSet").spec.selector.matchLabels, labels);
    for (const name of ["mlxd", "mlxd-hosts"]) assert.deepStrictEqual(of("Service", name).spec.selector, labels);
    assert.strictEqual(of("StatefulSet").spec.serviceName, of("Service", "mlxd-hosts").metadata.name);
    for (const { metadata } of manifests) assert.strictEqual(metadata.namespace, "inference");
    assert.include(rendered, "image: registry.example/mlxd:1.2");
  });

  it("mount all that the configuration needs, which has the hashes of keys that are not in it", (context) => {
    ready(context);
    const { data } = of("Secret");
    const settings = new Set(Object.keys(data).map((name) => `/etc/mlxd/${name}`));
    for (const { name, value } of of("StatefulSet").spec.template.spec.containers[0].env) {
      if (String(value).startsWith("/etc/mlxd/")) assert.isTrue(settings.has(value), `${name} is ${value}`);
    }
    const text = Buffer.from(data["mlxd.yaml"], "base64").toString();
    assert.sameMembers(Object.keys(parse(text).access.tenants), ["acme", "operators"]);
    const key = readFileSync(join(folder, "cluster/ci.key"), "utf8").trim();
    assert.isFalse(text.includes(key));
    assert.strictEqual(Buffer.from(of("Secret", "mlxd-callers").data["ci.key"], "base64").toString().trim(), key);
  });

  it("take the page's patches for models and jobs of one's own", async (context) => {
    ready(context);
    const render = await kustomize();
    if (typeof render === "string") return context.skip(render);
    const patches = /^```yaml\n(patches:\n.*?)^```$/ms.exec(page)?.[1] ?? assert.fail("the page has no patches");
    const overlay = join(folder, "cluster/kustomization.yaml");
    const before = readFileSync(overlay, "utf8");
    writeFileSync(overlay, before + patches);
    const patched = parseAllDocuments(await render(join(folder, "cluster"))).map((document) => document.toJS());
    writeFileSync(overlay, before);
    const { env } = patched.find(({ kind }) => kind === "StatefulSet").spec.template.spec.containers[0];
    assert.deepInclude(env, { name: "MLXD_MODELS", value: "/var/lib/mlxd/models" });
    for (const { name } of env) assert.include(configuration, `\`${name}\``);
    const { egress } = patched.find(({ kind }) => kind === "NetworkPolicy").spec;
    assert.deepInclude(egress, { ports: [{ port: 5432, protocol: "TCP" }] });
  });

  it("are set up once, and not for names that Kubernetes does not take", async (context) => {
    ready(context);
    const fails = (...args: string[]) =>
      promisify(execFile)(setUp, args).then(
        () => assert.fail(`it takes ${args.join(" ")}`),
        ({ stderr }: { stderr: string }) => stderr,
      );
    assert.include(await fails(join(folder, "cluster"), "inference", "mlxd:1"), "has an overlay already");
    assert.include(await fails(join(folder, "other"), "In ference", "mlxd:1"), "is no name of a namespace");
    assert.include(await fails(join(folder, "other"), "inference", "mlxd"), "is no image with a tag");
    assert.include(await fails(), "usage:");
  });
});
