/**
 * The programs of docs/other-languages.md in Go and Rust, built and run against the service. Without protoc on the machine
 * the Go one takes that of the Python packages, which the test of the Python program leaves behind.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { createProject, missing, saysAll } from "../support/language-page.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

describe("docs/other-languages.md", () => {
  it("has a Go program that runs", async (context) => {
    const reason = await missing("go", "version");
    if (reason) context.skip(reason);
    const project = createProject("go", ["hello.go"], service.port);
    if (await missing("protoc", "--version")) {
      const python = join(project.folder, "../python/.venv/bin/python");
      if (await missing(python, "-c", "import grpc_tools")) context.skip("protoc is missing, and so is grpc_tools");
      mkdirSync(join(project.folder, "bin"), { recursive: true });
      const program = `#!/bin/sh\nexec '${python}' -m grpc_tools.protoc "$@"\n`;
      writeFileSync(join(project.folder, "bin/protoc"), program, { mode: 0o755 });
    }
    const { exitCode, stdout, stderr } = await project.run("go");
    if (exitCode !== 0 && /no such host|i\/o timeout|dial tcp|proxyconnect/.test(stderr)) {
      context.skip("the Go modules could not be fetched");
    }
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, saysAll(/InvalidArgument INVALID_FIELD - task\.sampling\.top_p: 3 is out of range/));
  });

  it("has a Rust program that runs", async (context) => {
    const reason = await missing("cargo", "--version");
    if (reason) context.skip(reason);
    const project = createProject("rust", ["Cargo.toml", "build.rs", "src/main.rs"], service.port);
    const { exitCode, stdout, stderr } = await project.run("rust");
    if (exitCode !== 0 && /failed to (download|fetch|get)|Could not resolve host/.test(stderr)) {
      context.skip("the crates could not be fetched");
    }
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, saysAll(/InvalidArgument INVALID_FIELD - task\.sampling\.top_p: 3 is out of range/));
  });
});
