import { assert, property, string } from "fast-check";
import { expect, it } from "vitest";

import { encodeGrpcMessage } from "../../../src/service/server/grpc-message.ts";

it("keeps what people read, and encodes the rest", () => {
  expect(encodeGrpcMessage('a: "b"; 5 % of 🦊\n')).toBe('a: "b"; 5 %25 of %F0%9F%A6%8A%0A');
});

it("reads back by the protocol's rule, whatever it says", () => {
  assert(property(string({ unit: "grapheme" }), (text) => decodeURIComponent(encodeGrpcMessage(text)) === text));
});
