import { assert, describe, it } from "vitest";

import type { ContentPart, Role } from "../../../src/service/domain/conversation.ts";
import { imageViolations } from "../../../src/service/pipeline/image-violations.ts";
import { png } from "../../support/images.ts";
import { chat, message } from "../../support/tasks.ts";

type Image = Extract<ContentPart, { readonly type: "image" }>;

interface Told {
  readonly mediaType?: string;
  readonly role?: Role;
}

const violationOf = (source: Image["source"], { mediaType = "", role = "user" }: Told = {}) => {
  const input = chat({ ...message(role, ""), content: [{ type: "image", source, mediaType }] });
  const [violation] = imageViolations(input.type === "chat" ? input : assert.fail());
  return violation?.field.replace("task.chat.messages[0].content[0].image", "") ?? "none";
};

describe("an image", () => {
  it.each([
    ["png", png],
    ["jpeg", Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)],
    ["gif", Buffer.from("GIF89a")],
    ["webp", Buffer.from("RIFF\0\0\0\0WEBP")],
  ])("is taken as %s by its first bytes", (name, data) => {
    assert.strictEqual(violationOf({ data }), "none");
    assert.strictEqual(violationOf({ data }, { mediaType: `image/${name}` }), "none");
  });

  it.each<[string, string, Image["source"], Told]>([
    ["bytes of something else", ".data", { data: Uint8Array.of(1) }, {}],
    ["no bytes", ".data", { data: new Uint8Array() }, {}],
    ["a type that it is not", ".media_type", { data: png }, { mediaType: "image/jpeg" }],
    ["a type that is not taken", ".media_type", { data: png }, { mediaType: "image/svg+xml" }],
    ["another scheme", ".url", { url: "file:///etc/passwd" }, {}],
    ["a data URL that is not base64", ".url", { url: "data:image/png,abc" }, {}],
    ["a password in its URL", ".url", { url: "http://a:b@example.com/" }, {}],
    ["a URL without end", ".url", { url: `http://example.com/${"x".repeat(10_000)}` }, {}],
    ["another role than the user's", "", { data: png }, { role: "assistant" }],
  ])("is refused with %s", (_, field, source, options) => {
    assert.strictEqual(violationOf(source, options), field);
  });
});
