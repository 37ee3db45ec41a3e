import { assert, describe, it } from "vitest";

import { base64Of, imageUrl } from "../../../../src/service/engine/backends/image-url.ts";
import { png } from "../../../support/images.ts";

describe("the URL of an image", () => {
  it("is the caller's own, or has the bytes with the type that they are", () => {
    assert.strictEqual(imageUrl({ type: "image", source: { url: "https://a.b/c" }, mediaType: "" }), "https://a.b/c");
    const { text } = base64Of(png);
    assert.deepStrictEqual(new Uint8Array(Buffer.from(text, "base64")), png);
    assert.strictEqual(
      imageUrl({ type: "image", source: { data: png }, mediaType: "" }),
      `data:image/png;base64,${text}`,
    );
  });

  it("has only the bytes of a part of a buffer", () => {
    assert.strictEqual(base64Of(new Uint8Array([1, ...png, 2]).subarray(1, 1 + png.length)).text, base64Of(png).text);
  });
});
