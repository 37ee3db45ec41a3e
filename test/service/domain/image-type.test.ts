import { assert, describe, it } from "vitest";

import { imageTypeOf, imageTypes } from "../../../src/service/domain/image-type.ts";
import { png } from "../../support/images.ts";

describe("the type of an image", () => {
  it.each([
    ["image/png", png],
    ["image/jpeg", Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)],
    ["image/gif", Buffer.from("GIF87a")],
    ["image/webp", Buffer.from("RIFF\n\0\0\nWEBP")],
  ])("is %s by its first bytes", (type, data) => {
    assert.strictEqual(imageTypeOf(data), type);
    assert.include(imageTypes, type);
  });

  it.each(["", "GIF88a", "RIFF", "<svg/>", "\x89PNG"])("is unknown for %j", (text) => {
    assert.isUndefined(imageTypeOf(Buffer.from(text, "latin1")));
  });
});
