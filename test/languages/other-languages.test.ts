/** The programs of docs/other-languages.md in Python and plain JavaScript, built and run against the service. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { createProject, missing, runShell, saysAll } from "../support/language-page.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

describe("docs/other-languages.md", { timeout: 10 * 60_000 }, () => {
  it("has a Python program that runs", async (context) => {
    const reason = await missing("python3", "-c", "import venv, ensurepip");
    if (reason) context.skip(`${reason}, or has no venv`);
    const { exitCode, stdout, stderr } = await createProject("python", ["hello.py"], service.port).run("python");
    if (exitCode !== 0 && /No matching distribution|Could not fetch|Temporary failure/.test(stderr)) {
      context.skip("the Python packages could not be installed");
    }
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, saysAll(/INVALID_ARGUMENT INVALID_FIELD - task\.sampling\.top_p: 3 is out of range/));
  });

  it("has a program in plain JavaScript that runs", async () => {
    const { folder } = createProject("javascript", ["hello.cjs"], service.port);
    const { exitCode, stdout, stderr } = await runShell(`'${process.execPath}' hello.cjs`, folder);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, saysAll(/$/));
  });

  it("speaks of files that protoc reads without a warning", async (context) => {
    if (await missing("protoc", "--version")) context.skip("protoc is missing");
    const { folder } = createProject("protoc", [], service.port);
    const command = "protoc -I protos --include_imports --descriptor_set_out=/dev/null protos/mlxd/v1/*.proto";
    assert.deepEqual(await runShell(command, folder), { exitCode: 0, stdout: "", stderr: "" });
  });
});
