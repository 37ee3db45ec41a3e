/** What a demo model is too quick, and too good, to show: endless answers, slow downloads, bad models. */
import { assert, describe, it } from "vitest";
import { CancelGenerationResponse_State } from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { PrepareStage, Quality } from "../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { FinishReason, OutputWarning_Kind } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { onTerminal, runCommand, startCommand } from "../support/mlxd-command.ts";
import { chunkEvent, finishedEvent, numbered, saying, startedEvent } from "../support/scripted-events.ts";
import { type Script, startScriptedServer, untilLeft } from "../support/scripted-server.ts";

const getModel = () => ({ model: { id: "demo" } });

describe("Ctrl-C in a chat", () => {
  it("ends the answer, which stays in the conversation, and then the command", async () => {
    const asked: string[][] = [];
    let end = () => {};
    const cancelled = new Promise<void>((resolve) => (end = resolve));
    await using server = await startScriptedServer({
      models: { getModel },
      async *stream({ task }) {
        const messages = task?.input.case === "chat" ? task.input.value.messages : [];
        asked.push(
          messages.flatMap(({ content }) => content.map(({ part }) => (part.case === "text" ? part.value : ""))),
        );
        if (asked.length > 1) return yield* saying("well");
        const [started, chunk, finished] = numbered([
          startedEvent(),
          chunkEvent("endless", 1),
          finishedEvent(1, { finishReason: FinishReason.CANCELLED }),
        ]);
        if (!started || !chunk || !finished) throw new Error("three events");
        yield started;
        yield chunk;
        await cancelled;
        yield finished;
      },
      cancel: () => {
        end();
        return { state: CancelGenerationResponse_State.CANCELLING };
      },
    });
    const { process: child, says, ended } = startCommand(["chat", "--server", server.url]);
    child.stdin.write("go\n");
    await says(/endless/);
    child.kill("SIGINT");
    await says(/endless\n/);
    child.stdin.write("on\n");
    await says(/well\n/);
    child.kill("SIGINT");
    const { exitCode, stderr } = await ended;
    assert.deepEqual([exitCode, stderr], [130, ""]);
    assert.deepEqual(asked, [["go"], ["go", "endless", "on"]]);
  });

  it("twice leaves a server that does not end the answer", async () => {
    let asked = () => {};
    const cancelAsked = new Promise<void>((resolve) => (asked = resolve));
    await using server = await startScriptedServer({
      models: { getModel },
      async *stream(_request, context) {
        yield* numbered([startedEvent(), chunkEvent("endless", 1)]);
        await untilLeft(context);
      },
      cancel: () => {
        asked();
        return { state: CancelGenerationResponse_State.CANCELLING };
      },
    });
    const { process: child, says, ended } = startCommand(["chat", "--server", server.url]);
    child.stdin.write("go\n");
    await says(/endless/);
    child.kill("SIGINT");
    await cancelAsked;
    child.kill("SIGINT");
    assert.equal((await ended).exitCode, 130);
  });
});

const prepared = (stage: PrepareStage, smokeTest: { readonly quality: Quality; readonly reason: string }): Script => ({
  async *prepare() {
    yield { event: { case: "stage", value: { stage: PrepareStage.DOWNLOADING } } };
    for (const bytesDone of [0, 1, 2, 50, 51, 100].map((percent) => percent * 1024 * 1024)) {
      const progress = { bytesDone, bytesTotal: 100 * 1024 * 1024, filesTotal: 3 };
      yield { event: { case: "progress", value: { ...progress, elapsed: { seconds: 61n } } } };
    }
    yield { event: { case: "stage", value: { stage } } };
    const readyToChat = stage !== PrepareStage.FAILED;
    yield { event: { case: "report", value: { stage, readyToChat, model: { id: "bad" }, smokeTest } } };
  },
});

describe("mlxd load", () => {
  it("says that a model that is loaded is of no use", async () => {
    const report = { stage: PrepareStage.FAILED, current: "bad", message: 'model "bad" is loaded, and says nothing' };
    await using server = await startScriptedServer({
      models: { loadModel: () => ({ model: { id: "bad", residentBytes: 1024 }, report }) },
    });
    const { exitCode, stdout, stderr } = await runCommand(["load", "bad", "--server", server.url]);
    assert.deepEqual([exitCode, stdout], [0, "bad is loaded and has 1.0 KiB\n"]);
    assert.equal(stderr, 'mlxd: model "bad" is loaded, and says nothing\n');
  });
});

describe("mlxd pull", () => {
  it("tells each tenth of a download", async () => {
    await using server = await startScriptedServer(prepared(PrepareStage.READY, { quality: Quality.OK, reason: "ok" }));
    const { exitCode, stdout, stderr } = await runCommand(["pull", "a/b", "--server", server.url]);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.deepEqual(
      stdout.split("\n").map((line) => line.trim()),
      [
        "0.0 s  downloading",
        "1 min 01 s  0 B of 100 MiB (0 %)",
        "1 min 01 s  50.0 MiB of 100 MiB (50 %)",
        "1 min 01 s  100 MiB of 100 MiB (100 %)",
        "0.0 s  ready",
        "bad is ready",
        "",
      ],
    );
  });

  it("shows a bar on a terminal", async (context) => {
    if (process.platform !== "linux") context.skip("another program than util-linux's script is needed");
    await using server = await startScriptedServer(prepared(PrepareStage.READY, { quality: Quality.OK, reason: "ok" }));
    const told = await onTerminal("pull a/b", { MLXD_SERVER: server.url });
    assert.include(told, `[${"#".repeat(15)}${"-".repeat(15)}] 50.0 MiB of 100 MiB, 0 of 3 files`);
    assert.include(told, "\u001b[1G", "the bar stays in its line");
    assert.notInclude(told, "(50 %)");
  });

  it("prints the report alone as JSON", async () => {
    await using server = await startScriptedServer(prepared(PrepareStage.READY, { quality: Quality.OK, reason: "ok" }));
    const { exitCode, stdout, stderr } = await runCommand(["pull", "a/b", "--json", "--server", server.url]);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.deepInclude(JSON.parse(stdout), { stage: "ready", readyToChat: true });
  });

  it("takes a degraded model for a success and says so", async () => {
    const smokeTest = { quality: Quality.DEGRADED, reason: "it says it thrice" };
    await using server = await startScriptedServer(prepared(PrepareStage.DEGRADED, smokeTest));
    const { exitCode, stderr } = await runCommand(["pull", "a/b", "--server", server.url]);
    assert.deepEqual([exitCode, stderr], [0, "mlxd: bad answers, but not as it should: it says it thrice\n"]);
  });

  it("exits with 1 for a model of no use, and prints its report", async () => {
    const smokeTest = { quality: Quality.FAILED, reason: "it is empty" };
    await using server = await startScriptedServer(prepared(PrepareStage.FAILED, smokeTest));
    const { exitCode, stdout, stderr } = await runCommand(["prepare", "bad", "--json", "--server", server.url]);
    assert.deepEqual([exitCode, stderr], [1, "mlxd: bad is loaded, but its answer is unusable: it is empty\n"]);
    assert.deepInclude(JSON.parse(stdout), { stage: "failed", readyToChat: false });
  });
});

describe("an answer", () => {
  const answer = (text: string, fields: Parameters<typeof finishedEvent>[1], reasoning = ""): Script => ({
    async *stream() {
      yield* numbered([startedEvent(), chunkEvent(text, 3, { reasoning }), finishedEvent(3, fields)]);
    },
  });

  it.each([
    ["", "", {}, "the answer is empty: the model ended its answer immediately (end_of_sequence)"],
    [" \n", "", {}, "the answer is empty: the model ended its answer immediately (end_of_sequence)"],
    ["", "hm", {}, "the answer is empty: the model reasoned but wrote no answer (end_of_sequence)"],
    ["cut", "", { finishReason: FinishReason.CONTEXT_LENGTH }, "the answer ends where the model's context is full"],
    [
      "<role>",
      "",
      { warnings: [{ kind: OutputWarning_Kind.MARKERS_REMOVED, message: "role markers were taken out" }] },
      "role markers were taken out",
    ],
  ])(
    "%j after reasoning %j that ends with %j is remarked on, on standard error",
    async (text, reasoning, fields, remark) => {
      await using server = await startScriptedServer(answer(text, fields, reasoning));
      const { exitCode, stdout, stderr } = await runCommand(["generate", "hi", "--server", server.url]);
      assert.deepEqual([exitCode, stderr], [0, `mlxd: ${remark}\n`]);
      assert.equal(stdout, text === "" || text.endsWith("\n") ? text : `${text}\n`);
    },
  );

  it("without a word in a chat is remarked on too", async () => {
    await using server = await startScriptedServer({ ...answer("", {}), models: { getModel } });
    const { exitCode, stdout, stderr } = await runCommand(["chat", "--server", server.url], {}, "hi\n");
    assert.deepEqual([exitCode, stdout], [0, ""]);
    assert.match(stderr, /^mlxd: the answer is empty: /);
  });
});

describe("--header", () => {
  const commands = [
    "models",
    "models demo",
    "compatibility",
    "load",
    "load --check",
    "unload demo",
    "unload --all",
    "pin demo",
    "prepare",
    "pull a/b",
    "generate hi",
    "chat",
    "embed hi",
    "tokens hi",
    "stats",
    "reload",
  ];

  it("goes out with every command that calls the service, before and after its name, and more than once", async () => {
    await using server = await startScriptedServer({
      async *stream() {
        yield* saying("a");
      },
      ...prepared(PrepareStage.READY, { quality: Quality.OK, reason: "" }),
      models: {
        listModels: () => ({}),
        listCompatibilityProfiles: () => ({}),
        getModel,
        loadModel: getModel,
        unloadModel: getModel,
        pinModel: getModel,
        unloadAllModels: () => ({}),
        reloadCatalog: () => ({}),
      },
      embedding: { embed: () => ({ embeddings: [{ values: [1] }] }) },
      tokenizer: { tokenize: () => ({ texts: [{ ids: [1], pieces: ["a"] }] }) },
      server: { getStats: () => ({}) },
    });
    for (const command of commands) {
      const before = server.calls.length;
      const words = ["-H", "authorization: Bearer a:b", ...command.split(" "), "--header", "x-team:blue"];
      await runCommand([...words, "--server", server.url], {}, "hi\n");
      assert.isAbove(server.calls.length, before, command);
      for (const { header } of server.calls.slice(before)) {
        assert.deepEqual([header.get("authorization"), header.get("x-team")], ["Bearer a:b", "blue"], command);
      }
    }
  }, 180_000);
});
