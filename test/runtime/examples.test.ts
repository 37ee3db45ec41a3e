/** The examples that are parts of other programs, each run as what it is; test/examples.test.ts runs the others. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, assert, beforeAll, describe, it, vi } from "vitest";
import { GenerationService } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { createMlxdClient, decodeError, type MlxdClient } from "../../src/client/node.ts";
import { endWithThisProcess } from "../support/end-with-this-process.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { chromium, workerd } from "../support/tools.ts";
import { serveInWorkerd } from "../support/workerd-server.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));

let service: RunningService;
let client: MlxdClient;
let folder = "";
beforeAll(async () => {
  service = await startService({ MLXD_CORS_ORIGINS: "*" });
  client = createMlxdClient({ baseUrl: service.url });
  folder = await mkdtemp(join(tmpdir(), "mlxd-examples-"));
});
afterAll(async () => {
  client.close();
  await service.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
});

/** A program that is ended with the block. */
const started = (child: ChildProcess) => {
  endWithThisProcess(child);
  const ended = once(child, "exit");
  return {
    child,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
};

const bundle = async (entry: string, name: string): Promise<string> => {
  const options = ["--platform", "browser", "--format", "esm", "--no-codeSplitting", "--file", join(folder, name)];
  await run(process.execPath, [join(root, "node_modules/.bin/rolldown"), join(root, entry), ...options], { cwd: root });
  return join(folder, name);
};

describe("the example", () => {
  it("gateway.ts answers its own callers with what mlxd says, errors too", async () => {
    const env = { ...process.env, PORT: "0", MLXD_URL: service.url };
    const gateway = spawn(process.execPath, ["examples/gateway.ts"], {
      cwd: root,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    await using _ = started(gateway);
    const [line] = (await once(createInterface({ input: gateway.stdout }), "line")) as [string];
    const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${/\d+/.exec(line)?.[0]}` });
    const callers = createClient(GenerationService, transport);
    const { result } = await callers.generate({ task: { input: { case: "prompt", value: "What is 2+2?" } } });
    assert.match(result?.candidates[0]?.text ?? "", /4/);
    const error = await callers
      .generate({ task: { input: { case: "prompt", value: "word ".repeat(5_000) } } })
      .catch((reason: unknown) => decodeError(reason).reason);
    assert.equal(error, "CONTEXT_LENGTH_EXCEEDED");
  });

  it("worker.ts hands the pieces on as they come, and ends with its caller", async (context) => {
    const found = await workerd();
    if (typeof found === "string") return context.skip(found);
    await bundle("examples/worker.ts", "worker.js");
    const main = `(name = "main", worker = (
      modules = [(name = "worker", esModule = embed "worker.js")],
      bindings = [(name = "MLXD_URL", text = "${service.url}")],
      compatibilityDate = "2026-01-01"))`;
    const internet = '(name = "internet", network = (allow = ["private", "public"]))';
    await using server = await serveInWorkerd(found.path, folder, `${main}, ${internet}`);
    const url = (question: string) => `${server.url}/?q=${encodeURIComponent(question)}`;
    const response = await fetch(url("Count from 1 to 20"));
    const pieces: string[] = [];
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) pieces.push(piece);
    assert.match(pieces.join(""), /^1, 2, 3.* 20/);
    assert.isAbove(pieces.length, 3);
    const cancelled = async () => (await client.stats()).total?.cancelled ?? 0;
    const before = await cancelled();
    const left = new AbortController();
    const leaving = await fetch(url("Count from 1 to 50"), { signal: left.signal });
    await leaving.body?.getReader().read();
    left.abort();
    await vi.waitUntil(async () => (await cancelled()) > before || (await client.stats()).total?.running === 0, {
      timeout: 60_000,
    });
  });

  it("route-handler.ts answers with server-sent events", async () => {
    const code = await readFile(join(root, "examples/route-handler.ts"), "utf8");
    const here = join(root, ".cache/route-handler.ts");
    await writeFile(here, code.replaceAll("http://127.0.0.1:50051", service.url));
    const { POST } = (await import(here)) as { POST: (request: Request) => Promise<Response> };
    const ask = (body: unknown) =>
      POST(new Request("http://localhost/", { method: "POST", body: JSON.stringify(body) }));
    const events = await (await ask({ question: "What is 2+2?" })).text();
    const pieces = [...events.matchAll(/^data: (.*)$/gm)].map(([, json = '""']) => JSON.parse(json) as string);
    assert.equal(pieces.join(""), "2 + 2 is 4.");
    assert.equal((await ask({})).status, 400);
    assert.equal((await ask({ question: "word ".repeat(5_000) })).status, 502);
    await rm(here);
  });

  it("page.html shows the answer", async (context) => {
    const found = await chromium();
    if (typeof found === "string") return context.skip(found);
    const clientFile = await bundle("src/client/web.ts", "client.js");
    let tell: (shown: string) => void = () => {};
    const told = new Promise<string>((resolve) => (tell = resolve));
    // Asks as a person would, and tells what is shown when it is all there.
    const person = `<script type="module">
      document.querySelector("form").requestSubmit();
      const output = document.querySelector("output");
      new MutationObserver(() => {
        if (output.dataset.done) fetch("/shown", { method: "POST", body: output.textContent });
      }).observe(output, { attributes: true });
    </script></html>`;
    const page = (await readFile(join(root, "examples/page.html"), "utf8")).replace("</html>", person);
    const script = await readFile(clientFile, "utf8");
    const pages = http.createServer((request, response) => {
      if (request.method === "POST") {
        void text(request).then(tell);
        response.end();
      } else if (request.url === "/client.js") {
        response.writeHead(200, { "content-type": "text/javascript" }).end(script);
      } else response.writeHead(200, { "content-type": "text/html" }).end(page);
    });
    pages.listen(0, "127.0.0.1");
    await once(pages, "listening");
    const url = `http://127.0.0.1:${(pages.address() as AddressInfo).port}/?mlxd=${encodeURIComponent(service.url)}`;
    const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"];
    {
      await using _ = started(spawn(found.path, [...args, `--user-data-dir=${join(folder, "profile")}`, url]));
      assert.equal(await told, "2 + 2 is 4.");
    }
    pages.close();
    pages.closeAllConnections();
  });
});
