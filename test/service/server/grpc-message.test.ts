import { assert as assertProperty, property, string } from "fast-check";
import { assert, it } from "vitest";

import { encodeGrpcMessage } from "../../../src/service/server/grpc-message.ts";

it("keeps what people read, and encodes the rest", () => {
  assert.strictEqual(encodeGrpcMessage('a: "b"; 5 % of 🦊\n'), 'a: "b"; 5 %25 of %F0%9F%A6%8A%0A');
});

it("reads back by the protocol's rule, whatever it says", () => {
  assertProperty(
    property(string({ unit: "grapheme" }), (text) => decodeURIComponent(encodeGrpcMessage(text)) === text),
  );
});
