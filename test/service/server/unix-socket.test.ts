/** The service on a Unix socket, as its clients meet it and as it finds and leaves the file. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, assert, beforeEach, describe, it } from "vitest";

import { createMlxdClient } from "../../../src/client/node.ts";
import { errorOf } from "../../support/error-of.ts";
import { startTestServer } from "../../support/test-server.ts";
import { until } from "../../support/until.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

let folder: string;
let socket: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-socket-"));
  socket = join(folder, "s");
});
afterEach(() => rmSync(folder, { recursive: true }));

const start = (more: object = {}) => startTestServer({ config: { socket, ...more } });

describe("a service on a Unix socket", () => {
  it.each(["grpc", "connect", "connect-http1"] as const)("answers clients over %s, and streams", async (protocol) => {
    await using _server = await start();
    for (const baseUrl of [`unix:${socket}`, `unix://${socket}`]) {
      using client = createMlxdClient({ baseUrl, protocol });
      assert.isNotEmpty((await client.generate("x")).text);
      let streamed = "";
      for await (const delta of client.stream("x").textDeltas()) streamed += delta;
      assert.isNotEmpty(streamed);
    }
  });

  it("answers the command, which names the socket where a URL would stand", async () => {
    await using _server = await start();
    const child = spawn(process.execPath, ["src/cli/main.ts", "generate", "x", "--server", `unix:${socket}`], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 0);
    assert.isNotEmpty(printed.trim());
  });

  it.each([0o600, 0o660, 0o666])(
    "gives its file the permissions that are set, %o, whatever the umask",
    async (mode) => {
      await using _server = await start({ socketMode: mode });
      assert.equal(statSync(socket).mode & 0o777, mode);
    },
  );

  it("takes its file away when it ends", async () => {
    const server = await start();
    assert.isTrue(existsSync(socket));
    await server.close();
    assert.isFalse(existsSync(socket));
  });

  it("takes the place of a file that a killed process has left behind", async () => {
    const program = `require("node:net").createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, "SIGKILL"))`;
    await once(spawn(process.execPath, ["-e", program]), "exit");
    assert.isTrue(statSync(socket).isSocket());
    await using _server = await start();
    using client = createMlxdClient({ baseUrl: `unix:${socket}` });
    assert.isNotEmpty((await client.generate("x")).text);
  });

  it("leaves a socket alone on which another program listens", async () => {
    const other = createServer((peer) => peer.destroy());
    other.listen(socket);
    await once(other, "listening");
    const { message } = await errorOf(start());
    assert.equal(
      message,
      `${socket} is in use: stop the program that listens there, or set MLXD_SOCKET to another path`,
    );
    assert.isTrue(statSync(socket).isSocket());
    other.close();
    await once(other, "close");
  });

  it("leaves a file alone that is no socket", async () => {
    writeFileSync(socket, "precious");
    assert.equal(
      (await errorOf(start())).message,
      `${socket} is there and is no socket: set MLXD_SOCKET to another path`,
    );
    assert.isTrue(statSync(socket).isFile());
  });

  it("says what is wrong with the path", async () => {
    socket = join(folder, "none", "s");
    assert.include((await errorOf(start())).message, "is not there: make it");
    socket = join(folder, "x".repeat(200));
    assert.include((await errorOf(start())).message, "longer than a socket's path may be");
  });

  it("tells its callers apart by their connections, so that they take turns", async () => {
    const auditLog = join(folder, "audit.jsonl");
    await using _server = await start({ auditLog });
    const grpc = createMlxdClient({ baseUrl: `unix:${socket}`, protocol: "grpc" });
    const http1 = createMlxdClient({ baseUrl: `unix:${socket}`, protocol: "connect-http1" });
    for (const client of [grpc, grpc, http1]) await errorOf(client.loadModel("none"));
    grpc.close();
    http1.close();
    await until(() => readFileSync(auditLog, "utf8").split("\n").length > 3);
    const peers = readFileSync(auditLog, "utf8").match(/"peer":"unix:\d+"/g) ?? [];
    assert.lengthOf(peers, 3);
    assert.lengthOf(new Set(peers), 2);
    assert.equal(peers[0], peers[1]);
  });

  it("does not speak TLS there", async () => {
    const tls = {
      certificateFile: "a",
      keyFile: "b",
      clientAuthorityFile: undefined,
      requiresClientCertificate: false,
    };
    // There are no such files, which is not what it is refused for.
    const { message } = await errorOf(start({ tls }));
    assert.equal(message, "a Unix socket speaks cleartext: leave out MLXD_SOCKET, or MLXD_TLS_CERT and MLXD_TLS_KEY");
    assert.isFalse(existsSync(socket));
  });
});

describe("a client of a socket", () => {
  it("says that there is none", async () => {
    using client = createMlxdClient({ baseUrl: `unix:${socket}`, retry: false });
    const error = await errorOf(client.generate("x"));
    assert.propertyVal(error, "code", "UNAVAILABLE");
    assert.include(error.message, "there is no such socket");
  });

  it("refuses an address without a path", () => {
    assert.throws(() => createMlxdClient({ baseUrl: "unix:" }), /it names no socket/);
  });
});
