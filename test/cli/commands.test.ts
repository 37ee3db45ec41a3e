/** Each subcommand against the service as it is started, with the demo model. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { assert, describe, it } from "vitest";

import type { PreparationReport } from "../../src/client/node.ts";
import { onTerminal, runCommand, startCommand } from "../support/mlxd-command.ts";
import { startService } from "../support/running-service.ts";
import { serveForTests } from "../support/served-client.ts";

const served = serveForTests();

const mlxd = (...args: string[]) => runCommand(args, { MLXD_SERVER: served.service.url });

/** What it prints when it ends well and has nothing to complain of. */
const output = async (...args: string[]): Promise<string> => {
  const { exitCode, stdout, stderr } = await mlxd(...args);
  assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: "" });
  return stdout;
};

const json = async (...args: string[]) => JSON.parse(await output(...args, "--json"));

/** As JSON has it. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("mlxd models", () => {
  it("lists the models in a table without escape codes", async () => {
    const [header = "", row = ""] = (await output("models")).split("\n");
    assert.match(header, /^ID +STATE +FAMILY +CONTEXT +SIZE +PINNED +DEFAULT$/);
    assert.match(row, /^demo +\w+ +\S+ +2,048 +[\d.]+ MiB +yes$/);
  });

  it("prints what the API says as JSON, of all and of one", async () => {
    assert.deepEqual(await json("models"), plain(await served.client.listModels()));
    assert.deepEqual(await json("models", "demo"), plain(await served.client.getModel("demo")));
  });

  it("tells every field of one", async () => {
    const told = await output("models", "demo");
    for (const name of Object.keys(await served.client.getModel("demo")))
      assert.match(told, new RegExp(`^${name}\\b`, "m"));
  });

  it("lists what is in memory, with how often it was used", async () => {
    await served.client.loadModel("demo");
    const [header = "", row = ""] = (await output("models", "--loaded")).split("\n");
    assert.match(header, /^ID +STATE +LAST USED +USES +LOADED +SIZE +PINNED$/);
    assert.match(row, /^demo +active +20\S+Z +\d+ +20\S+Z +[\d.]+ MiB$/);
    assert.deepEqual(
      (await json("models", "--loaded")).map(({ id }: { id: string }) => id),
      ["demo"],
    );
    await served.client.unloadAllModels();
    assert.equal(await output("models", "--loaded"), "No model is in memory.\n");
  });

  it("tells the nearest names of a model that there is not", async () => {
    const { exitCode, stdout, stderr } = await mlxd("models", "dmo");
    assert.deepEqual([exitCode, stdout], [1, ""]);
    assert.match(stderr, /^mlxd: no model is called "dmo"; did you mean demo\?.*"mlxd models".*\(MODEL_NOT_FOUND\)\n$/);
  });
});

describe("mlxd compatibility", () => {
  it("lists what models are run with and how they did", async () => {
    await served.client.loadModel("demo");
    const [header = "", row = ""] = (await output("compatibility")).split("\n");
    assert.match(header, /^KEY +FAMILY +TEMPLATE +TEMPERATURE +TOP P +TOKENS +LOADED +QUALITY +TRIED +FOUND$/);
    assert.match(row, /^local_mlx:demo +\S+ +\S+ +[\d.]+ +[\d.]+ +[\d,]+ +yes +ok +20\S+Z$/);
    assert.deepEqual(await json("compatibility"), plain(await served.client.listCompatibilityProfiles()));
  });
});

describe("mlxd load, unload and pin", () => {
  it("load, tell and unload a model", async () => {
    assert.match(await output("unload", "demo"), /^demo is unloaded; it had [\d.]+ MiB\n$/);
    assert.equal((await served.client.getModel("demo")).state, "available");
    assert.equal(await output("unload", "demo"), "demo was not loaded\n");
    assert.match(await output("load", "demo", "--check"), /it fits\n$/);
    assert.equal((await served.client.getModel("demo")).state, "available");
    assert.match(await output("load", "demo"), /^demo is loaded/);
    assert.equal((await served.client.getModel("demo")).state, "active");
    assert.deepInclude(await json("load"), { id: "demo", state: "active" });
    assert.deepEqual(await json("load", "--check"), plain(await served.client.checkModelFit()));
    assert.match(await output("unload", "--all"), /^unloaded: demo; they had/);
    assert.deepInclude(await json("unload", "--all", "--force"), { unloaded: [] });
  });

  it("load several models, each told as it goes", async () => {
    const { exitCode, stdout, stderr } = await mlxd("load", "demo", "dmo");
    assert.equal(exitCode, 1);
    assert.match(stdout, /^demo is loaded and has [\d.]+ MiB\n$/);
    assert.match(stderr, /^mlxd: dmo is not loaded: no model is called "dmo".*\nmlxd: 1 of 2 models are not loaded\n$/);
    const all = await json("load", "demo", "Demo");
    assert.deepEqual(
      all.map(({ model, report }: { model: string; report: PreparationReport }) => [model, report.current]),
      [
        ["demo", "demo"],
        ["Demo", "demo"],
      ],
    );
  });

  it("pin a model, which unload --all then leaves", async () => {
    await served.client.loadModel("demo");
    assert.equal(await output("pin", "demo"), "demo is pinned\n");
    assert.match(await output("unload", "--all"), /^nothing was unloaded\ndemo stays: /);
    assert.match(await output("unload", "--all", "--include-pinned"), /^unloaded: demo; they had/);
    assert.deepInclude(await json("pin", "demo", "--off"), { id: "demo", pinned: false });
  });

  it("need a model or --all, and not both", async () => {
    for (const args of [["unload"], ["unload", "demo", "--all"]]) {
      const { exitCode, stderr } = await mlxd(...args);
      assert.equal(exitCode, 2);
      assert.match(stderr, /^mlxd: give either the name of a model or --all\n/);
    }
  });

  it("tell with exit code 1 that a model does not fit", async () => {
    const small = await startService({ MLXD_MEMORY_BUDGET: String(64 * 1024 ** 2), MLXD_PRELOAD: "none" });
    const { exitCode, stderr } = await runCommand(["load", "--check", "--server", small.url]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^mlxd: .+\n$/);
    await small.stop();
  });
});

describe("mlxd generate", () => {
  it("holds the answer to a schema in a file, or to a JSON object", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "mlxd-schema-")), "schema.json");
    writeFileSync(file, JSON.stringify({ type: "object", properties: { n: { type: "integer" } }, required: ["n"] }));
    const held = await output("generate", "What is 2+2?", "--json-schema", file, "--max-output-tokens", "30");
    assert.match(held, /^\{\s*"n"\s*:\s*-?\d+\s*\}\n$/);
    const any = await output("generate", "What is 2+2?", "--json-object", "--max-output-tokens", "30");
    assert.isObject(JSON.parse(any));
    const missing = await mlxd("generate", "x", "--json-schema", `${file}.not`);
    assert.strictEqual(missing.exitCode, 2);
    assert.match(missing.stderr, /cannot read .*ENOENT/);
  });

  it("prints the answer", async () => {
    assert.equal(await output("generate", "What is 2+2?", "--temperature", "0"), "2 + 2 is 4.\n");
  });

  it("reads the prompt from a pipe, with and without -", async () => {
    for (const args of [["generate"], ["generate", "-"]]) {
      const { stdout } = await runCommand([...args, "--server", served.service.url], {}, "What is 2+2?\n");
      assert.equal(stdout, "2 + 2 is 4.\n");
    }
  });

  it("prints the whole result as JSON, made with what was asked for", async () => {
    const sampling = ["--temperature", "0.7", "--top-p", "0.8", "--top-k", "9", "--seed", "5", "--stop", "zz"];
    const { generationId, ...result } = await json("generate", "What is 2+2?", ...sampling, "--stop", "yy");
    assert.match(generationId, /^gen_/);
    const { generationId: _, ...expected } = await served.client.generate("What is 2+2?", {
      temperature: 0.7,
      topP: 0.8,
      topK: 9,
      seed: 5,
      stopSequences: ["zz", "yy"],
    });
    // Whether the prompt was cached depends on who came before.
    const { usage, ...others } = result;
    const { usage: expectedUsage, ...expectedOthers } = expected;
    assert.deepEqual(others, plain(expectedOthers));
    assert.equal(usage.outputTokens, expectedUsage.outputTokens);
  });

  it("says when the answer was cut", async () => {
    const { exitCode, stdout, stderr } = await mlxd("generate", "Count from 1 to 9", "--max-output-tokens", "4");
    assert.deepEqual([exitCode, stdout], [0, "1, 2\n"]);
    assert.match(stderr, /^mlxd: the answer ends after 4 tokens; --max-output-tokens/);
  });

  it("takes a system text, or a raw prompt, and not both", async () => {
    await output("generate", "What is 2+2?", "--system", "You are brief.");
    const { stderr } = await mlxd("generate", "2+2", "--raw", "--max-output-tokens", "3");
    assert.match(stderr, /ends after 3 tokens/);
    assert.equal((await mlxd("generate", "2+2", "--raw", "--system", "x")).exitCode, 2);
  });

  it("tells in one line what the service refuses", async () => {
    const { exitCode, stderr } = await mlxd("generate", "x", "--temperature", "9");
    assert.equal(exitCode, 1);
    assert.match(stderr, /^mlxd: --temperature: 9 .+ between 0 and 2; .+\(INVALID_FIELD\)\n$/);
    const seed = await mlxd("generate", "x", "--seed", "4294967296");
    assert.equal(seed.exitCode, 1);
    assert.match(
      seed.stderr,
      /^mlxd: --seed: 4294967296 is not a whole number from 0 to 4294967295; .+\(INVALID_FIELD\)\n$/,
    );
    const stop = await mlxd("generate", "x", "--stop", "a", "--stop", "");
    assert.match(stop.stderr, /^mlxd: --stop: .+\(INVALID_FIELD\)\n$/);
  });

  it("ends with the time-out", async () => {
    const { exitCode, stderr } = await mlxd("generate", "x", "--ignore-eos", "--timeout", "0.001");
    assert.equal(exitCode, 1);
    assert.match(stderr, /--timeout allows more time \(DEADLINE\)\n$/);
  });

  it("is cancelled on the server by Ctrl-C", async () => {
    const before = await served.client.stats();
    const {
      process: child,
      says,
      ended,
    } = startCommand(["generate", "Count from 1 to 9", "--ignore-eos", "--temperature", "0"], {
      MLXD_SERVER: served.service.url,
    });
    await says(/./);
    child.kill("SIGINT");
    const { exitCode, stderr } = await ended;
    assert.deepEqual([exitCode, stderr], [130, ""]);
    let { total } = await served.client.stats();
    for (let attempt = 0; total?.running !== 0 && attempt < 100; attempt++) ({ total } = await served.client.stats());
    assert.equal(total?.running, 0);
    assert.equal(total?.cancelled, (before.total?.cancelled ?? 0) + 1);
  });
});

describe("mlxd chat", () => {
  const chat = (input: string, ...args: string[]) =>
    runCommand(["chat", "--temperature", "0", ...args], { MLXD_SERVER: served.service.url }, input);

  it("answers a turn in a line, and remembers until it is reset", async () => {
    const { exitCode, stdout, stderr } = await chat(
      "My name is Mina.\n\nWhat is my name?\n/reset\nWhat is my name?\n/exit\nMy name is Tom.\n",
    );
    assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: "" });
    const [greeting = "", known = "", unknown = "", ...rest] = stdout.split("\n");
    assert.include(greeting, "Mina");
    assert.include(known, "Mina");
    assert.notInclude(unknown, "Mina");
    assert.deepEqual(rest, [""]);
  });

  it("prints each answer as a line of JSON, and nothing else", async () => {
    const { exitCode, stdout } = await chat("My name is Mina.\n/help\nWhat is my name?\n", "--json", "--seed", "1");
    assert.equal(exitCode, 0);
    const answers = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.lengthOf(answers, 2);
    assert.include(answers[1].text, "Mina");
    assert.containsAllKeys(answers[0], ["generationId", "finishReason", "usage", "parameters"]);
    assert.equal(answers[0].parameters.seed, 1);
  });

  it("takes the system text as part of the conversation", async () => {
    const { exitCode, stdout } = await chat("/system You are brief.\nWhat is 2+2?\n/help\n/nope\n");
    assert.equal(exitCode, 0);
    assert.match(stdout, /4/);
    assert.include(stdout, "/reset");
  });

  it("ends with 1 and the reason where nobody is there to try again", async () => {
    const { exitCode, stderr } = await chat(`${"word ".repeat(4000)}\nWhat is 2+2?\n`);
    assert.equal(exitCode, 1);
    assert.include(stderr, "(CONTEXT_LENGTH_EXCEEDED)");
  });

  it("tells of an unknown model before anything is said", async () => {
    assert.include((await chat("", "--model", "dmo")).stderr, "did you mean demo?");
  });
});

describe("mlxd embed", () => {
  it("prints the vector of a text", async () => {
    const result = await served.client.embed("What is 2+2?");
    const vector = JSON.parse(await output("embed", "What is 2+2?")) as number[];
    assert.equal(vector.length, result.embeddings[0]?.values.length);
    assert.closeTo(Math.hypot(...vector), 1, 1e-5);
    assert.deepEqual(Object.keys((await json("embed", "What is 2+2?")) as object), Object.keys(result));
    const { exitCode, stderr } = await mlxd("embed", "a ".repeat(9000));
    assert.equal(exitCode, 1);
    assert.match(stderr, /exceed the context of 2048: shorten the text, or set truncate/);
    assert.equal(
      (JSON.parse(await output("embed", "--truncate", "a ".repeat(9000))) as number[]).length,
      vector.length,
    );
  });
});

describe("mlxd tokens", () => {
  it("shows and counts the tokens", async () => {
    const tokens = await served.client.tokenize("What is 2+2?", { pieces: true });
    const lines = (await output("tokens", "What is 2+2?")).trimEnd().split("\n");
    assert.equal(lines.pop(), `${tokens.ids.length} tokens`);
    assert.deepEqual(
      lines.map((line) => line.trim().split(/ {2}/)),
      tokens.ids.map((id, index) => [String(id), JSON.stringify(tokens.pieces[index])]),
    );
    assert.deepEqual(await json("tokens", "What is 2+2?"), plain(tokens));
  });

  it("only counts", async () => {
    const { ids } = await served.client.tokenize("What is 2+2?");
    assert.equal(await output("tokens", "--count", "What is 2+2?"), `${ids.length}\n`);
    const piped = await runCommand(["tokens", "--count", "--server", served.service.url], {}, "What is 2+2?\n");
    assert.equal(piped.stdout, `${ids.length}\n`);
    assert.deepEqual(await json("tokens", "--count", "What is 2+2?"), { count: ids.length });
  });
});

describe("mlxd stats", () => {
  it("tells what the API says", async () => {
    await served.client.generate("What is 2+2?");
    const [stats, { total, models }] = [await json("stats"), await served.client.stats()];
    assert.deepEqual(stats.total, plain(total));
    assert.deepEqual(
      stats.models.map(({ model }: { model: string }) => model),
      models.map(({ model }) => model),
    );
    const told = await output("stats");
    assert.match(told, new RegExp(`^outputTokens +${total?.outputTokens.toLocaleString("en")}$`, "m"));
    assert.match(told, /^demo +active/m);
  });
});

describe("mlxd reload", () => {
  it("tells that nothing has changed where nothing has", async () => {
    assert.equal(await output("reload"), "nothing has changed\n");
    assert.deepEqual(await json("reload"), { added: [], removed: [], changed: [] });
  });
});

describe("on a terminal", () => {
  it("the output is styled and progress is shown, unless NO_COLOR is set", async (context) => {
    if (process.platform !== "linux") context.skip("another program than util-linux's script is needed");
    assert.include(await onTerminal("models", { MLXD_SERVER: served.service.url }), "\u001b[1mID");
    assert.notInclude(await onTerminal("models", { MLXD_SERVER: served.service.url, NO_COLOR: "1" }), "\u001b");
    assert.include(await onTerminal("load demo", { MLXD_SERVER: served.service.url }), "loading demo ... ");
  });
});

describe("mlxd prepare and pull", () => {
  it("prepare tells the stages and ends well", async () => {
    const told = await output("prepare", "demo", "--retest");
    assert.match(told, / s {2}resolving\n[^]+ s {2}smoke test\n[^]+ s {2}ready\ndemo is ready\n$/);
    const report = await json("prepare", "demo");
    assert.deepInclude(report, { stage: "ready", readyToChat: true, downloaded: false });
  });

  it("pull takes repositories only", async () => {
    const { exitCode, stderr } = await mlxd("pull", "demo");
    assert.equal(exitCode, 2);
    assert.match(stderr, /^mlxd: "demo" is not a repository such as organisation\/name/);
  });
});

describe("mlxd serve", () => {
  it("is the service with settings as options, through a link to bin/mlxd", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-bin-"));
    const link = join(folder, "mlxd");
    symlinkSync(fileURLToPath(new URL("../../bin/mlxd", import.meta.url)), link);
    const { stdout } = await promisify(execFile)(link, ["models", "--server", served.service.url]);
    assert.include(stdout, "demo");
    rmSync(folder, { recursive: true });

    const serving = startCommand(["serve", "--port", "0", "--preload", "none"]);
    await serving.says(/ready at http/);
    serving.process.kill("SIGINT");
    assert.equal((await serving.ended).exitCode, 0);
  });
});

describe("mlxd jobs submit", () => {
  it("takes the options of an answer, for the tasks that do not set them", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-jobs-submit-"));
    const file = join(folder, "tasks.jsonl");
    writeFileSync(file, '"Count from 1 to 5"\n{"input": "Count from 1 to 5", "stopSequences": ["4"]}\n');
    const { exitCode, stdout } = await mlxd("jobs", "submit", file, "--temperature", "0", "--seed", "7", "--stop", "3");
    rmSync(folder, { recursive: true });
    const texts = stdout
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { readonly text: string }).text);
    assert.deepEqual([exitCode, texts], [0, ["1, 2,", "1, 2, 3,"]]);
  });
});
