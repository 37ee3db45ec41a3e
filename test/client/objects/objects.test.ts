import { toStandardJsonSchema } from "@valibot/to-json-schema";
import { type } from "arktype";
import { Schema } from "effect";
import { assert, describe, expectTypeOf, it } from "vitest";
import * as v from "valibot";
import * as z from "zod";
import { isMlxdError, type MlxdClient, type MlxdError } from "../../../src/client/index.ts";
import { collect } from "../../support/collect.ts";
import { createInMemoryClient } from "../../support/in-memory-client.ts";
import { chunkEvent, finishedEvent, numbered, saying, startedEvent } from "../../support/scripted-events.ts";
import { FinishReason } from "../../../src/client/gen/mlxd/v1/types_pb.ts";

const person = z.object({ name: z.string().min(2), born: z.iso.date(), email: z.email().optional() });

/** A service that answers with this text, in these pieces. */
const answering = (...pieces: string[]) => {
  const constraints: unknown[] = [];
  const client = createInMemoryClient({
    generate: ({ task }) => {
      constraints.push(
        task?.constraint?.kind.case === "jsonSchema" ? JSON.parse(task.constraint.kind.value) : undefined,
      );
      return { result: { generationId: "g1", candidates: [{ text: pieces.join("") }] } };
    },
    stream: () => saying(...pieces),
  });
  return { client, constraints };
};

/** A schema of Effect with both parts of the Standard Schema. */
const ofEffect = <S extends Schema.Codec<unknown, unknown>>(schema: S) =>
  Schema.toStandardSchemaV1(Schema.toStandardJSONSchemaV1(schema));

const failureOf = async (promise: Promise<unknown>): Promise<MlxdError> => {
  const error = await promise.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  if (!isMlxdError(error)) throw error;
  return error;
};

describe("an object", () => {
  it("is constrained by what the service can hold to, validated, and of the schema's type", async () => {
    const { client, constraints } = answering('{"name":"Mina","born":"1990-01-01"}');
    const { object, text } = await client.generateObject(person, "Who?");
    expectTypeOf(object).toEqualTypeOf<{ name: string; born: string; email?: string | undefined }>();
    assert.deepEqual(object, { name: "Mina", born: "1990-01-01" });
    assert.equal(text, '{"name":"Mina","born":"1990-01-01"}');
    assert.deepNestedInclude(constraints[0], {
      "properties.name": { type: "string", minLength: 2 },
      "properties.born.type": "string",
      required: ["name", "born"],
    });
    // The calendar's days, as Zod validates them: the format alone has a 31st in each month.
    assert.match(JSON.stringify(constraints[0]), /-02-29\|.*2\[0-8\]/);
  });

  it("is what the schema makes of the answer", async () => {
    const { client } = answering('{"n":"42"}');
    const schema = z.object({ n: z.string().transform(Number) });
    const { object } = await client.generateObject(schema, "?");
    expectTypeOf(object).toEqualTypeOf<{ n: number }>();
    assert.deepEqual(object, { n: 42 });
  });

  it("may have a schema of ArkType, of Effect, of Valibot, or a JSON Schema", async () => {
    const { client } = answering('{"n":2}');
    const objects = [
      await client.generateObject(type({ n: "number.integer" }), "?"),
      await client.generateObject(ofEffect(Schema.Struct({ n: Schema.Int })), "?"),
      await client.generateObject(toStandardJsonSchema(v.object({ n: v.number() })), "?"),
      await client.generateObject<{ n: number }>({ type: "object", properties: { n: { type: "integer" } } }, "?"),
    ];
    for (const { object } of objects) assert.equal(object.n, 2);
  });

  const isEven = (n: number): boolean => n % 2 === 0;
  it.each<[string, (client: MlxdClient) => Promise<unknown>]>([
    ["Zod", (client) => client.generateObject(z.object({ n: z.number().refine(isEven, "it is odd") }), "?")],
    [
      "Zod, as a promise",
      (client) => client.generateObject(z.object({ n: z.number().refine(async (n) => isEven(n), "it is odd") }), "?"),
    ],
    [
      "Valibot",
      (client) => {
        const schema = v.object({ n: v.pipe(v.number(), v.check(isEven, "it is odd")) });
        return client.generateObject(toStandardJsonSchema(schema), "?");
      },
    ],
    [
      "ArkType",
      (client) =>
        client.generateObject(
          type({ n: type("number").narrow((n, of) => isEven(n) || of.mustBe("even: it is odd")) }),
          "?",
        ),
    ],
    [
      "Effect",
      (client) => {
        const even = Schema.Finite.check(Schema.makeFilter((n) => isEven(n) || "it is odd"));
        return client.generateObject(ofEffect(Schema.Struct({ n: even })), "?");
      },
    ],
  ])("is validated by a refinement of %s, which no JSON Schema expresses", async (_, generate) => {
    const { client, constraints } = answering('{"n":3}');
    const error = await failureOf(generate(client));
    assert.deepNestedInclude(constraints[0], { "properties.n.type": "number" });
    assert.equal(error.reason, "INVALID_OUTPUT");
    assert.equal(error.violations[0]?.field, "n");
    assert.match(error.violations[0]?.description ?? "", /it is odd.*; it is 3$/);
  });

  it("fails with the client's error where its schema throws", async () => {
    const { client } = answering('{"n":3}');
    const broken = new Error("no connection to the stock");
    const schema = z.object({ n: z.number() }).refine(() => {
      throw broken;
    });
    for (const failing of [client.generateObject(schema, "?"), client.streamObject(schema, "?").collect()]) {
      const error = await failureOf(failing);
      assert.deepEqual([error.reason, error.cause, error.metadata["text"]], ["INVALID_OUTPUT", broken, '{"n":3}']);
      assert.match(error.message, /its schema failed: no connection to the stock$/);
    }
  });

  it.each<[string, (client: MlxdClient) => Promise<unknown>]>([
    [
      "a library",
      (client) => client.generateObject(z.object({ list: z.array(z.object({ n: z.number().multipleOf(5) })) }), "?"),
    ],
    [
      "a JSON Schema",
      (client) =>
        client.generateObject(
          { properties: { list: { items: { properties: { n: { type: "number", multipleOf: 5 } } } } } },
          "?",
        ),
    ],
  ])("that does not fit the schema of %s fails with the path and the value", async (_, generate) => {
    const { client } = answering('{"list":[{"n":5},{"n":12}]}');
    const error = await failureOf(generate(client));
    assert.equal(error.reason, "INVALID_OUTPUT");
    assert.deepEqual(
      error.violations.map(({ field }) => field),
      ["list[1].n"],
    );
    assert.match(error.violations[0]?.description ?? "", /multiple.*; it is 12$/i);
    assert.match(error.message, /^the object does not match its schema: list\[1\]\.n: /);
    assert.equal(error.metadata["text"], '{"list":[{"n":5},{"n":12}]}');
    assert.equal(error.progress?.generationId, "g1");
  });

  it("that was cut off says what would help", async () => {
    const client = createInMemoryClient({
      generate: () => ({ result: { candidates: [{ text: '{"n":', finishReason: FinishReason.MAX_OUTPUT_TOKENS }] } }),
    });
    const error = await failureOf(client.generateObject({}, "?"));
    assert.equal(
      error.message,
      "the output is not valid JSON, it ended with max_output_tokens; it needs a larger maxOutputTokens",
    );
  });

  it("has no options that its schema decides, and a schema that is one", async () => {
    const { client } = answering("{}");
    const reject = async (schema: unknown, options: object = {}) =>
      (await failureOf(client.generateObject(schema as never, "?", options))).message;
    assert.match(await reject({}, { constraint: { jsonObject: true } }), /^constraint: there is no such option/);
    assert.match(await reject({}, { candidateCount: 2 }), /^candidateCount: /);
    assert.match(await reject({}, { topQ: 2 }), /^topQ: there is no such option/);
    assert.match(await reject(5), /^schema: 5 is not an object/);
    assert.match(await reject(z.object({ d: z.date() })), /^schema: it cannot be converted to a JSON Schema: /);
    assert.match(await reject({ "~standard": { vendor: "valibot", version: 1 } }), /toStandardJsonSchema of @valibot/);
    assert.match(
      await reject(Schema.Struct({})),
      /^schema: a function is not a schema; wrap .* Schema\.toStandardSchemaV1\(/,
    );
    assert.throws(() => client.streamObject(5 as never, "?"), /^schema: 5 is not an object/);
    assert.throws(() => client.streamObject({}, "?", { topP: Number.NaN }), /^topP: NaN/);
  });
});

describe("an object as it comes", () => {
  it("shows each part once there is more of it, and the whole in the end", async () => {
    const { client } = answering('{"na', 'me":"Mi', "na", '","born":"1990-0', '1-01"}');
    const stream = client.streamObject(person, "Who?");
    const parts = await collect(stream);
    assert.deepEqual(parts, [
      {},
      { name: "Mi" },
      { name: "Mina" },
      { name: "Mina", born: "1990-0" },
      { name: "Mina", born: "1990-01-01" },
    ]);
    const { object, usage } = await stream.collect();
    expectTypeOf(object).toEqualTypeOf<z.infer<typeof person>>();
    assert.deepEqual(object, { name: "Mina", born: "1990-01-01" });
    assert.equal(usage.outputTokens, 6);
  });

  it("has the type that the schema converts until it has come", async () => {
    const { client } = answering('{"n":"42"}');
    const stream = client.streamObject(z.object({ n: z.string().transform(Number) }), "?");
    for await (const { n } of stream) {
      expectTypeOf(n).toEqualTypeOf<string | undefined>();
      if (n !== undefined) assert.equal(n, "42");
    }
    const { object } = await stream.collect();
    expectTypeOf(object).toEqualTypeOf<{ n: number }>();
    assert.deepEqual(object, { n: 42 });
  });

  it("fails at its end where it does not fit", async () => {
    const { client } = answering('{"name":"M","born":"1990-01-01"}');
    const error = await failureOf(client.streamObject(person, "Who?").collect());
    assert.equal(error.violations[0]?.field, "name");
  });

  it.each<[string, (client: MlxdClient, signal: AbortController) => Promise<unknown>]>([
    [
      "by break",
      async (client) => {
        for await (const _ of client.streamObject({}, "?")) break;
      },
    ],
    [
      "by its signal",
      async (client, controller) => {
        const stream = client.streamObject({}, "?", { signal: controller.signal });
        await stream.next();
        controller.abort();
        assert.equal((await failureOf(stream.next())).reason, "CANCELLED");
        assert.equal((await failureOf(stream.collect())).reason, "CANCELLED");
      },
    ],
    [
      "by cancel",
      async (client) => {
        const stream = client.streamObject({}, "?");
        await stream.next();
        const pending = failureOf(stream.next());
        stream.cancel("enough");
        assert.equal((await pending).cause, "enough");
      },
    ],
    [
      "before it began",
      async (client) => {
        const stream = client.streamObject({}, "?", { signal: AbortSignal.abort() });
        assert.equal((await failureOf(stream.next())).reason, "CANCELLED");
      },
    ],
  ])("is ended on the server when it is left %s", async (how, leave) => {
    let left: () => void = () => {};
    const isLeft = new Promise<void>((resolve) => (left = resolve));
    const client = createInMemoryClient({
      *stream(_request, context) {
        context.signal.addEventListener("abort", left);
        yield* numbered([startedEvent(), chunkEvent("[1, ", 1), chunkEvent("2", 1), finishedEvent(2)]);
      },
    });
    await leave(client, new AbortController());
    if (how !== "before it began") await isLeft;
  });
});
