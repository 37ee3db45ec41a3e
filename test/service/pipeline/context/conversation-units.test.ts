import { assert, describe, it } from "vitest";

import type { ChatMessage } from "../../../../src/service/domain/conversation.ts";
import { dropOldest } from "../../../../src/service/pipeline/context/conversation-units.ts";
import { message } from "../../../support/tasks.ts";

const call = { id: "x", name: "add", arguments: "{}" };
const conversation: ReadonlyArray<ChatMessage> = [
  message("system", "Be brief."),
  message("user", "first"),
  { ...message("assistant", ""), toolCalls: [call] },
  { ...message("tool", "2"), toolCallId: "x" },
  message("assistant", "one"),
  message("user", "second"),
  message("developer", "In words."),
  message("assistant", "two"),
  message("user", "third"),
  { ...message("assistant", ""), toolCalls: [call] },
  { ...message("tool", "3"), toolCallId: "x" },
];

const textsOf = (messages: ReadonlyArray<ChatMessage>) =>
  messages.map(
    ({ role, content }) => `${role} ${content.map((part) => (part.type === "text" ? part.text : "")).join("")}`,
  );

describe("a conversation that is shortened", () => {
  it("loses its oldest turn with its calls and their results, and nothing that the system says", () => {
    const { kept = [], dropped = [] } = dropOldest(conversation, 0) ?? {};
    assert.deepStrictEqual(textsOf(dropped), ["user first", "assistant ", "tool 2", "assistant one"]);
    assert.deepStrictEqual(textsOf(kept), [
      "system Be brief.",
      "user second",
      "developer In words.",
      "assistant two",
      "user third",
      "assistant ",
      "tool 3",
    ]);
  });

  it("keeps the last turn, however much is to go", () => {
    const { kept = [] } = dropOldest(conversation, 1) ?? {};
    assert.deepStrictEqual(textsOf(kept), [
      "system Be brief.",
      "developer In words.",
      "user third",
      "assistant ",
      "tool 3",
    ]);
    assert.isUndefined(dropOldest(kept, 1));
    assert.isUndefined(dropOldest([message("user", "only")], 1));
    assert.isUndefined(dropOldest([message("system", "only")], 1));
  });

  it("loses as many turns as the share takes", () => {
    const turns = Array.from({ length: 100 }, (_, index) => message("user", `question ${index}`.padEnd(84, ".")));
    const { dropped = [] } = dropOldest(turns, 0.305) ?? {};
    assert.lengthOf(dropped, 31);
  });

  it("has what an assistant said first in its first turn", () => {
    const { dropped = [] } =
      dropOldest([message("assistant", "Hi"), message("user", "a"), message("user", "b")], 0) ?? {};
    assert.deepStrictEqual(textsOf(dropped), ["assistant Hi", "user a"]);
  });
});
