import { assert, describe, it } from "vitest";

import { RequestImages } from "../../../../src/service/engine/backends/RequestImages.ts";

describe("the images of a request", () => {
  it("are between the pieces of its JSON, in their order", () => {
    const images = new RequestImages();
    const [one, other] = [Uint8Array.of(1), Uint8Array.of(2)];
    const json = JSON.stringify({ a: images.add(one), b: `data:;base64,${images.add(other)}` });
    assert.deepStrictEqual(images.within(json), ['{"a":"', one, '","b":"data:;base64,', other, '"}']);
  });

  it("may be none", () => {
    assert.deepStrictEqual(new RequestImages().within("{}"), ["{}"]);
  });

  it("have a mark that another request's text cannot contain", () => {
    const [one, other] = [new RequestImages(), new RequestImages()];
    const mark = one.add(Uint8Array.of(1));
    other.add(Uint8Array.of(2));
    assert.deepStrictEqual(other.within(mark), [mark]);
  });
});
