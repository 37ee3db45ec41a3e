import { create } from "@bufbuild/protobuf";
import { assert, describe, it } from "vitest";

import { ImageSchema } from "../../../src/client/gen/mlxd/v1/types_pb.ts";
import { imageFromWire } from "../../../src/service/rpc/image-from-wire.ts";

const read = (url: string, mediaType = "") =>
  imageFromWire(create(ImageSchema, { source: { case: "url", value: url }, mediaType }));

describe("an image of a request", () => {
  it("is the bytes of a data URL, with its media type unless the request names another", () => {
    const data = new Uint8Array(Buffer.from("GIF89a"));
    const url = `data:image/gif;base64,${Buffer.from(data).toString("base64")}`;
    assert.deepStrictEqual(read(url), { type: "image", source: { data }, mediaType: "image/gif" });
    assert.deepInclude(read(url, " IMAGE/PNG "), { mediaType: "image/png" });
  });

  it.each(["https://example.com/a.png", "data:image/png,abc", "data:", "", `data:${"x".repeat(200)};base64,AA==`])(
    "keeps the URL %j",
    (url) => {
      assert.deepStrictEqual(read(url), { type: "image", source: { url }, mediaType: "" });
    },
  );
});
