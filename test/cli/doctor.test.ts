/** `mlxd doctor` as it is called, with MLX as it is on this machine and with files of it that are broken. */
import { createServer } from "node:net";
import { assert, describe, it } from "vitest";

import { runCommand } from "../support/mlxd-command.ts";

/** Nobody listens there: the port was free a moment ago. */
const nobody = async (): Promise<string> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
};

const names = ["machine", "node", "binding", "libraries", "configuration", "memory", "models", "port", "service"];

describe("mlxd doctor", () => {
  it("needs no service, prints a line for each thing and exits with 0", async () => {
    const { exitCode, stdout, stderr } = await runCommand(["doctor", "--port", "0"], { MLXD_SERVER: await nobody() });
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: "" });
    for (const name of names) assert.match(stdout, new RegExp(`^(ok|note) +${name} `, "m"));
    assert.match(stdout, /^service: start one with "mlxd serve"/m);
  });

  it("exits with 1 where there is a problem, which --json tells with what to do next", async () => {
    const environment = { MLXD_SERVER: await nobody(), MLXD_BINDING: "node-mlx" };
    const { exitCode, stdout, stderr } = await runCommand(
      ["doctor", "--json", "--port", "0", "--models", "/nowhere"],
      environment,
    );
    assert.strictEqual(exitCode, 1);
    assert.strictEqual(stderr, "mlxd: one problem was found\n");
    const findings = JSON.parse(stdout) as ReadonlyArray<
      Readonly<Record<"name" | "status" | "detail" | "next", string>>
    >;
    assert.deepEqual(
      findings.map(({ name }) => name),
      names,
    );
    assert.deepEqual(
      findings.filter(({ status }) => status === "problem").map(({ name }) => name),
      ["models"],
    );
    for (const { status, next } of findings) assert.strictEqual(next === "", status === "ok");
    assert.include(findings.find(({ name }) => name === "binding")?.detail, "node-mlx, MLX 0.13.1");
  });
});
