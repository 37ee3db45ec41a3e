import { fileURLToPath } from "node:url";
import { assert, describe, it } from "@effect/vitest";

import type { ChatInput } from "../../../../src/service/domain/conversation.ts";
import { folderEntries } from "../../../support/folder-entries.ts";
import { readTextFiles } from "../../../../src/service/sandbox/lane/text-files.ts";
import { createDetokenizer } from "../../../../src/service/prompt/detokenizer.ts";
import { vocabularyOf } from "../../../support/text-tools.ts";

const models = fileURLToPath(new URL("../../../../models", import.meta.url));
const message = (role: "system" | "user", text: string) => ({
  role,
  content: [{ type: "text" as const, text }],
  toolCalls: [],
  toolCallId: "",
  name: "",
  reasoning: "",
});
const chat: ChatInput = {
  type: "chat",
  messages: [message("system", "Be brief."), message("user", "2+2는? 👍🏽")],
  tools: [],
  toolChoice: { mode: "auto" },
  templateOptions: {},
  continueFinalMessage: false,
};

describe("the embedded demo model", () => {
  it("is whole: it chats, takes tools, and is small", async () => {
    const [demo] = await folderEntries({ directory: models });
    assert.equal(demo?.facts.id, "demo");
    assert.deepInclude(demo, { problem: undefined });
    assert.deepInclude(demo?.facts.capabilities, { chat: true, tools: true });
    assert.isBelow(demo?.facts.estimatedBytes ?? Infinity, 64 * 1024 ** 2);
    assert.isNotEmpty(demo?.facts.eosTokenIds);
  });

  it("writes and reads its prompts without loss", async () => {
    const [demo] = await folderEntries({ directory: models });
    assert.isDefined(demo);
    const { tokenizer, chatTemplate } = await readTextFiles({
      directory: demo.facts.directory,
      family: demo.facts.family,
      systemRole: demo.profile.supportsSystem,
      standIn: demo.profile.chatTemplate,
      cleanUp: demo.profile.postprocess,
      vocabularySize: demo.facts.vocabularySize,
    });
    const prompt = chatTemplate.render(chat);
    assert.equal(
      prompt,
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2+2는? 👍🏽<|im_end|>\n<|im_start|>assistant\n",
    );
    const ids = tokenizer.encode(prompt, { addSpecialTokens: false });
    assert.equal(tokenizer.decode(ids, { skipSpecialTokens: false }), prompt);
    const detokenizer = createDetokenizer(vocabularyOf(tokenizer));
    const streamed = ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush();
    assert.equal(streamed, "system\nBe brief.\nuser\n2+2는? 👍🏽\nassistant\n");
  });
});
