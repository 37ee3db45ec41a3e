/** What needs no service: help, wrong calls, and a service that is not there. */
import { assert, describe, it } from "vitest";
import { runCommand } from "../support/mlxd-command.ts";

const subcommands =
  "serve models pull prepare load unload pin compatibility generate chat jobs embed tokens stats cache reload doctor key".split(
    " ",
  );

describe("the help", () => {
  it("names every subcommand", async () => {
    const { exitCode, stdout, stderr } = await runCommand(["--help"]);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    for (const name of subcommands) assert.match(stdout, new RegExp(`^  ${name} `, "m"));
    assert.include(stdout, "Exit codes: ");
  });

  it.each(subcommands)("of %s has examples that are called so", async (name) => {
    const { exitCode, stdout, stderr } = await runCommand([name, "--help"]);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    const [, examples = ""] = stdout.split("Examples:\n");
    assert.match(examples, new RegExp(`^  \\$ .*mlxd ${name}\\b`, "m"));
    assert.include(stdout, "MLXD_SERVER");
    // The service says nothing to scripts but its log, which --log-format sets; a group has it in its subcommands.
    if (name !== "serve" && !stdout.includes("Commands:")) assert.match(stdout, /^ {2}--json /m);
  });
});

describe("-h", () => {
  it.each([[[]], [["generate"]]])("%j -h is the same as --help", async (args) => {
    assert.deepEqual(await runCommand([...args, "-h"]), await runCommand([...args, "--help"]));
  });
});

describe("a wrong call", () => {
  it.each([
    [["bogus"], "unknown command 'bogus'"],
    [["modles"], "Did you mean models?"],
    [["models", "--colour"], "unknown option '--colour'"],
    [["generate", "a", "b"], "too many arguments"],
    [["generate", "a", "--temperature", "warm"], "It is not a number."],
    [["generate", "a", "--seed", "1.5"], "It is not a whole number."],
    [["models", "--server", "here"], "It is not a URL"],
    [["models", "--timeout", "0"], "It must be more than 0"],
    [["pin"], "missing required argument 'name'"],
    [["models", "--header", "no-colon"], "--header takes a name and a value"],
    [["models", "--header", "a b: c"], 'cannot send a header "a b"'],
    [["models", "-H", "token: 한국"], 'cannot send a header "token"'],
    [["models", "--api-key", "mlxd_secret"], "every user of this machine can see command lines"],
    [["key", "new", "not a name"], "It must begin with a letter or digit"],
    [["load", "a", "b", "--check"], "--check takes one model"],
    [["models", "a", "--loaded"], "not both"],
  ])("%j is told and exits with 2", async (args, message) => {
    const { exitCode, stdout, stderr } = await runCommand(args);
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.match(stderr, /^mlxd: /);
    assert.include(stderr, message);
    assert.include(stderr, "--help");
  });

  it("does not repeat a header's value, which may be a secret", async () => {
    for (const header of ["Bearer s3cret", "a b: s3cret", "authorization: s3cret\n"]) {
      assert.notInclude((await runCommand(["models", "--header", header])).stderr, "s3cret");
    }
  });

  it("without any subcommand prints the help and exits with 2", async () => {
    const { exitCode, stderr } = await runCommand([]);
    assert.equal(exitCode, 2);
    assert.include(stderr, "Commands:");
  });
});

describe("a service that is not there", () => {
  const nobody = "http://127.0.0.1:1";

  const calls: readonly (readonly string[])[] = [
    ["models"],
    ["load"],
    ["load", "a", "b"],
    ["models", "--loaded"],
    ["compatibility"],
    ["unload", "--all"],
    ["pin", "demo"],
    ["generate", "hi"],
    ["chat"],
    ["embed", "hi"],
    ["tokens", "hi"],
    ["stats"],
    ["prepare"],
    ["reload"],
    ["pull", "a/b"],
  ];
  it.each(calls.map((args) => ({ call: args.join(" "), args })))("is told by $call", async ({ args }) => {
    const { exitCode, stdout, stderr } = await runCommand(args, { MLXD_SERVER: nobody });
    assert.deepEqual([exitCode, stdout], [1, ""]);
    assert.equal(
      stderr,
      `mlxd: no mlxd answers at ${nobody}; start one with "mlxd serve", ` +
        "or name another with --server or MLXD_SERVER (CONNECTION)\n",
    );
  });
});
