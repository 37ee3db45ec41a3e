import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { assert as assertProperty, double, property, uint8Array } from "fast-check";
import { assert, describe, it } from "vitest";

import { GenerateRequestSchema } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { type GenerationTaskSchema, Role } from "../../../src/client/gen/mlxd/v1/types_pb.ts";
import { InvalidField } from "../../../src/service/domain/errors.ts";
import { violationsIn } from "../../../src/service/wire/validate.ts";

type Task = MessageInitShape<typeof GenerationTaskSchema>;
type Sampling = NonNullable<Task["sampling"]>;

const prompt = { case: "prompt", value: "x" } as const;

const refusalOf = (task: Task): string | undefined => {
  const request = create(GenerateRequestSchema, { task: { input: prompt, ...task } });
  const violations = violationsIn(GenerateRequestSchema, request);
  return violations.length === 0 ? undefined : new InvalidField({ violations }).message;
};

const bounds: ReadonlyArray<
  readonly [name: string, inBounds: (value: number) => boolean, of: (value: number) => Sampling]
> = [
  ["temperature", (value) => value >= 0 && value <= 2, (temperature) => ({ temperature })],
  ["top_p", (value) => value > 0 && value <= 1, (topP) => ({ topP })],
  ["min_p", (value) => value >= 0 && value <= 1, (minP) => ({ minP })],
  ["repetition_penalty", (value) => value > 0 && value <= 2, (repetitionPenalty) => ({ repetitionPenalty })],
  ["presence_penalty", (value) => value >= -2 && value <= 2, (presencePenalty) => ({ presencePenalty })],
  ["frequency_penalty", (value) => value >= -2 && value <= 2, (frequencyPenalty) => ({ frequencyPenalty })],
];

describe.each(bounds)("%s", (name, inBounds, sampling) => {
  it("is accepted exactly within its bounds, and told otherwise", () => {
    assertProperty(
      property(double(), double({ min: -3, max: 3 }), (any, near) => {
        for (const value of [any, near, -2, 0, 1, 2]) {
          const refusal = refusalOf({ sampling: sampling(value) });
          if (inBounds(value)) assert.isUndefined(refusal);
          else assert.match(refusal ?? "", new RegExp(`^task\\.sampling\\.${name}: \\S+ is out of range; it must be `));
        }
      }),
    );
  });
});

describe("lists", () => {
  const chatOf = (count: number, parts: number): Task => {
    const content = Array.from({ length: parts }, () => ({ part: { case: "text", value: "x" } }) as const);
    const messages = Array.from({ length: count }, () => ({ role: Role.USER, content }));
    return { input: { case: "chat", value: { messages } } };
  };

  it("that are too long are told by that alone, at once", () => {
    const messages = Array.from({ length: 200_000 }, () => ({}));
    const started = performance.now();
    assert.strictEqual(
      refusalOf({ input: { case: "chat", value: { messages } } }),
      "task.chat.messages: it has 200000 items; it must contain no more than 4096 item(s)",
    );
    const labels = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`l${index}`, ""]));
    assert.strictEqual(refusalOf({ labels }), "task.labels: map must be at most 16 entries");
    // Looking at each takes tens of seconds; making them here takes some tenths of one.
    assert.isBelow(performance.now() - started, 5000);
  });

  it("may each be full, but not all at once", () => {
    assert.isUndefined(refusalOf(chatOf(4096, 1)));
    assert.isUndefined(refusalOf(chatOf(8, 1024)));
    assert.match(
      refusalOf(chatOf(100, 1024)) ?? "",
      /^task\.chat\.messages\[\d+\]\.content: the request has more than 16384/,
    );
  });
});

describe("texts", () => {
  it("are told by their length, never repeated", () => {
    const secret = "s3cret".repeat(100);
    const tasks: ReadonlyArray<Task> = [
      { model: secret },
      { stop: { stopSequences: [secret] } },
      { scheduling: { fairnessId: secret } },
      { cache: { partition: secret } },
      { labels: { key: secret } },
      {
        input: {
          case: "chat",
          value: { messages: [{ role: Role.USER, content: [{ part: { case: "text", value: "x" } }], name: secret }] },
        },
      },
    ];
    for (const task of tasks) {
      const refusal = refusalOf(task);
      assert.include(refusal, "it has 600 bytes; it must be at most 256 bytes");
      assert.notInclude(refusal, "s3cret");
    }
  });

  it("of a pattern name the pattern", () => {
    const tools = [{ name: "has space" }];
    const messages = [{ role: Role.USER, content: [{ part: { case: "text" as const, value: "x" } }] }];
    const refusal = refusalOf({ input: { case: "chat", value: { messages, tools } } });
    assert.include(refusal, "task.chat.tools[0].name: ");
    assert.include(refusal, "^[A-Za-z0-9_.-]+$");
    assert.notInclude(refusal, "has space");
  });
});

it("never throws, whatever was sent", () => {
  assertProperty(
    property(uint8Array({ maxLength: 64 }), (bytes) => {
      refusalOf({
        labels: { [Buffer.from(bytes).toString("latin1")]: "x" },
        model: Buffer.from(bytes).toString("latin1"),
      });
    }),
  );
});
