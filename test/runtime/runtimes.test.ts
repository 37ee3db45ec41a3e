/**
 * The published package in every runtime and over every transport, against the real service and its demo model: one
 * program (behaviour.ts), one set of findings.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { endWithThisProcess } from "../support/end-with-this-process.ts";
import { buildClientPackage, type ClientPackage } from "../support/client-package.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { bun, chromium, deno, node22, node24, workerd } from "../support/tools.ts";
import { type Certificate, createCertificate, noCertificate } from "../support/certificate.ts";
import { type Front, startFront } from "../support/front.ts";
import { serveInWorkerd } from "../support/workerd-server.ts";
import type { Findings } from "./behaviour.ts";
import { type FrontFindings, frontKey } from "./front-behaviour.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const env = { ...process.env, DENO_DIR: join(root, ".cache/deno"), DENO_NO_UPDATE_CHECK: "1" };

let service: RunningService;
let built: ClientPackage;
/** Where the package is installed with its peers, and the programs beside it. */
let folder = "";
let certificate: Certificate | undefined;

beforeAll(async () => {
  [service, built] = await Promise.all([startService({ MLXD_CORS_ORIGINS: "*" }), buildClientPackage()]);
  folder = await built.install("@connectrpc/connect-node@2.3.0", "@grpc/grpc-js@1.14.7");
  for (const name of ["behaviour.ts", "front-behaviour.ts", "process-program.ts", "worker-program.ts"]) {
    await cp(join(root, "test/runtime", name), join(folder, name));
  }
  certificate = await createCertificate();
  if (certificate) await writeFile(join(folder, "authority.pem"), certificate.ca);
}, 300_000);

afterAll(async () => {
  await service.stop();
  await built[Symbol.asyncDispose]();
});

const assertRight = (found: Findings, cancels: number): void => {
  const { unary, korean, toolAnswer, neighbour, cancelledAtLeast, largePrompt, ...others } = found;
  assert.match(unary, /\b4\b/);
  assert.match(korean, /4/);
  assert.match(toolAnswer, /5535/);
  assert.match(neighbour, /^1, 2, 3,.* 20/);
  assert.isAtLeast(cancelledAtLeast, cancels + 4);
  assert.include(["CONTEXT_LENGTH_EXCEEDED", "MESSAGE_TOO_LARGE", "INVALID_FIELD"], largePrompt);
  assert.deepEqual(others, {
    isStreamTheSame: true,
    isTextIntact: true,
    left: { break: "none", return: "none", throw: "Error: own", abort: "CANCELLED", timeout: "DEADLINE" },
    isSlotFree: true,
    unknownModel: "MODEL_NOT_FOUND",
    object: { name: "Mina", age: 30 },
    batch: [unary, "MODEL_NOT_FOUND"],
  });
};

const assertRightBehindFront = ({ answer, answerAgain, ...others }: FrontFindings): void => {
  assert.match(answer, /\b4\b/);
  assert.equal(answerAgain, answer);
  assert.deepEqual(others, {
    withoutKey: "UNAUTHENTICATED",
    cut: "CONNECTION",
    isProgressRight: true,
    whileDown: "CONNECTION",
  });
};

/** A front before the service, and what programs need to trust it. */
const openFront = async (): Promise<Front | string> =>
  certificate ? startFront(service.url, frontKey, certificate) : noCertificate;

type Program = { readonly path: string } | string;

/** The Node that runs the tests, as it runs the service. */
const ownNode = `Node ${process.versions.node.split(".")[0]}`;

const runtimes: readonly (readonly [name: string, program: () => Promise<Program>, args: readonly string[]])[] = [
  [ownNode, () => Promise.resolve({ path: process.execPath }), []],
  ["Node 24", node24, []],
  ["Node 22", node22, ["--experimental-strip-types", "--no-warnings"]],
  [
    "Deno",
    () => Promise.resolve({ path: deno }),
    ["run", "--no-lock", "--no-remote", "--node-modules-dir=manual", "--allow-all"],
  ],
  ["Bun", bun, ["run"]],
];

/**
 * What each runtime is asked to speak. Deno and Bun have `fetch`, which their users take: what they have of Node's HTTP/2 is not for
 * them to be tested here, and grpc-js is made for Node alone. A page and a worker have nothing but `fetch`.
 */
const spoken: readonly (readonly [runtime: string, kind: string])[] = [
  ...["grpc", "connect", "connect-http1", "grpc-web", "grpc-js", "fetch"].flatMap((kind) =>
    [...new Set([ownNode, "Node 24", "Node 22"])].map((node) => [node, kind] as const),
  ),
  ["Deno", "fetch"],
  ["Bun", "fetch"],
];

/**
 * Generations that each begins and leaves at once, beside one that is read to its end. Fewer in older Nodes, which run the same
 * code, and in Chromium, which has six connections to a host and needs minutes for so many.
 */
const cancelsIn = (runtime: string): number => ([ownNode, "Deno", "Bun", "workerd"].includes(runtime) ? 1_500 : 150);

describe("the package", () => {
  it.for(spoken)("behaves in %s over %s, also beside many that leave", async ([runtime, kind], context) => {
    const [, program, options] = runtimes.find(([name]) => name === runtime) ?? assert.fail(runtime);
    const found = await program();
    if (typeof found === "string") return context.skip(found);
    const args = [...options, "process-program.ts", kind, service.url, String(cancelsIn(runtime))];
    const { stdout } = await run(found.path, args, { cwd: folder, env });
    assertRight(JSON.parse(stdout) as Findings, cancelsIn(runtime));
  });

  it.for(spoken)("behaves in %s over %s behind TLS and keys, and when these die", async ([runtime, kind], context) => {
    const [, program, options] = runtimes.find(([name]) => name === runtime) ?? assert.fail(runtime);
    const found = await program();
    if (typeof found === "string") return context.skip(found);
    const front = await openFront();
    if (typeof front === "string") return context.skip(front);
    await using _ = front;
    const args = [...options, "process-program.ts", kind, `https://127.0.0.1:${front.port}`, "front", front.controlUrl];
    const authority = "authority.pem";
    const trusting = {
      ...env,
      NODE_EXTRA_CA_CERTS: authority, // of Node and Bun
      GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: authority, // of grpc-js
      DENO_CERT: authority,
    };
    const { stdout } = await run(found.path, args, { cwd: folder, env: trusting });
    assertRightBehindFront(JSON.parse(stdout) as FrontFindings);
  });

  it("does what the first examples of its README say", async () => {
    const readme = await readFile(join(folder, "node_modules/@mlxd/client/README.md"), "utf8");
    const examples = [...readme.matchAll(/^```ts file=(\S+)\n(.*?)^```/gms)];
    assert.lengthOf(examples, 4);
    const printed: Record<string, string> = {};
    for (const [, name = "", code = ""] of examples) {
      await writeFile(join(folder, name), code.replaceAll("http://127.0.0.1:50051", service.url));
      const { stdout } = await run(process.execPath, [name], { cwd: folder });
      printed[name] = stdout;
    }
    assert.match(printed["node.ts"] ?? "", /^2 \+ 2 is 4\. \d+\n[^]*5\n[^]*no-such-model/);
    assert.match(printed["web.ts"] ?? "", /^2\n[^]*end_of_sequence \d+\n$/);
    assert.match(printed["more.ts"] ?? "", /^Mina 30\n[^\n]*5535[^\n]*\n[^\n]*Mina[^\n]*\n\{"system"/);
    assert.equal(printed["testing.ts"], "Hello. Hi\nQUEUE_FULL\n");
  });

  it("behaves in workerd", async (context) => {
    const found = await workerd();
    if (typeof found === "string") return context.skip(found);
    const findings = await inWorkerd(found.path, { url: service.url, cancels: String(cancelsIn("workerd")) });
    assertRight(findings as Findings, cancelsIn("workerd"));
  });

  it("behaves in workerd behind TLS and keys, and when these die", async (context) => {
    const [found, front] = [await workerd(), await openFront()];
    if (typeof found === "string") return context.skip(found);
    if (typeof front === "string") return context.skip(front);
    await using _ = front;
    const url = `https://localhost:${front.port}`; // it verifies no addresses
    assertRightBehindFront((await inWorkerd(found.path, { url, control: front.controlUrl })) as FrontFindings);
  });

  it("behaves in a page of Chromium", async (context) => {
    const found = await chromium();
    if (typeof found === "string") return context.skip(found);
    const cancels = cancelsIn("Chromium");
    const findings = await inChromium(found.path, { url: service.url, cancels: String(cancels) });
    assertRight(findings as Findings, cancels);
  });

  it("behaves in a page of Chromium behind TLS and keys, and when these die", async (context) => {
    const [found, front] = [await chromium(), await openFront()];
    if (typeof found === "string") return context.skip(found);
    if (typeof front === "string") return context.skip(front);
    await using _ = front;
    const query = { url: `https://127.0.0.1:${front.port}`, control: front.controlUrl };
    // Only the system's administrator can tell it whom to trust.
    const findings = await inChromium(found.path, query, "--ignore-certificate-errors");
    assertRightBehindFront(findings as FrontFindings);
  });
});

/** What the program finds in a worker. */
const inWorkerd = async (program: string, query: Readonly<Record<string, string>>): Promise<unknown> => {
  const bundled = await bundle("worker.js", "esm");
  const trusted = certificate ? ', tlsOptions = (trustedCertificates = [embed "authority.pem"])' : "";
  await using server = await serveInWorkerd(
    program,
    folder,
    `(name = "main", worker = (modules = [(name = "worker", esModule = embed "${bundled}")], compatibilityDate = "2026-01-01")),
    (name = "internet", network = (allow = ["private", "public"]${trusted}))`,
  );
  const response = await fetch(`${server.url}/?${new URLSearchParams(query).toString()}`);
  const body = await response.text();
  assert.equal(response.status, 200, `${body}\n${server.errors()}`);
  return JSON.parse(body);
};

/** What the program finds in a page. */
const inChromium = async (
  program: string,
  query: Readonly<Record<string, string>>,
  ...options: readonly string[]
): Promise<unknown> => {
  const bundled = await readFile(join(folder, await bundle("page.js", "iife")), "utf8");
  const script = bundled.replaceAll("</script", "<\\\\/script");
  let tell: (findings: string) => void = () => {};
  const told = new Promise<string>((resolve) => (tell = resolve));
  const pages = http.createServer((request, response) => {
    if (request.method === "POST") {
      void text(request).then(tell);
      response.end();
    } else {
      response.writeHead(200, { "content-type": "text/html" });
      response.end(`<!doctype html><meta charset="utf-8"><script>${script}</script>`);
    }
  });
  pages.listen(0, "127.0.0.1");
  await once(pages, "listening");
  const profile = await mkdtemp(join(tmpdir(), "mlxd-chromium-"));
  const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"];
  const { port } = pages.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/?${new URLSearchParams(query).toString()}`;
  try {
    await using child = started(spawn(program, [...args, ...options, `--user-data-dir=${profile}`, url]));
    const findings = await Promise.race([told, child.ended]);
    assert.match(findings, /^\{/, child.errors());
    return JSON.parse(findings);
  } finally {
    pages.close();
    pages.closeAllConnections();
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  }
};

/** One file of the program for runtimes with `fetch` alone. */
const bundle = async (name: string, format: "esm" | "iife"): Promise<string> => {
  const options = ["--platform", "browser", "--format", format, "--minify", "--no-codeSplitting", "--file", name];
  await run(process.execPath, [join(root, "node_modules/.bin/rolldown"), "worker-program.ts", ...options], {
    cwd: folder,
  });
  return name;
};

/** A program that is ended with the block, and what it says of errors. */
const started = (child: ChildProcess) => {
  endWithThisProcess(child);
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
  const ended = once(child, "exit").then(([code]) => `it ended with ${String(code)}`);
  return {
    errors: () => errors,
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
};
