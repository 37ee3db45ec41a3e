import { assert, describe, it } from "vitest";

import type { Request } from "../../../src/service/server/one-port.ts";
import { peerOf } from "../../../src/service/server/peer.ts";

/** What is read of a request. */
const over = (socket: object, session?: object): Request =>
  ({ socket, ...(session && { stream: { session } }) }) as unknown as Request;

describe("the peer of a call", () => {
  it("is the host and port of its connection", () => {
    assert.equal(peerOf(over({ remoteAddress: "10.1.2.3", remotePort: 4567 })), "10.1.2.3:4567");
    assert.equal(peerOf(over({ remoteAddress: "::1", remotePort: 80 }, {})), "::1:80");
  });

  it("is a number of its own for each connection over a Unix socket", () => {
    const [socket, session] = [{}, {}];
    const first = peerOf(over(socket));
    assert.match(first, /^unix:\d+$/);
    assert.equal(peerOf(over(socket)), first);
    // HTTP/2: each call has another face of the same socket.
    const second = peerOf(over({}, session));
    assert.equal(peerOf(over({}, session)), second);
    assert.lengthOf(new Set([first, second, peerOf(over({})), peerOf(over({}, {}))]), 4);
  });
});
