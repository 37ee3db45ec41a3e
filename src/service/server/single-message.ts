/** Bodies in envelopes, of methods that take one message. */
import { Code, ConnectError } from "@connectrpc/connect";

/** A byte of flags, and four of the message's length. */
const prefixBytes = 5;

/**
 * Passes the first envelope on and fails at the first byte behind it. Connect waits for the whole of a second message to
 * say that it is one too many, and so for as long as its peer likes.
 */
export async function* singleMessage(body: AsyncIterable<Uint8Array>, method: string): AsyncGenerator<Uint8Array> {
  let prefix = Buffer.alloc(0);
  let left = Infinity; // bytes of the envelope to come; known once its prefix is there
  for await (const chunk of body) {
    if (left === Infinity) {
      const seen = prefix.length;
      prefix = Buffer.concat([prefix, chunk.subarray(0, prefixBytes - seen)]);
      // What was seen of the prefix has been passed on.
      if (prefix.length === prefixBytes) left = prefixBytes - seen + prefix.readUInt32BE(1);
    }
    if (chunk.length > left) {
      yield chunk.subarray(0, left);
      throw new ConnectError(`the request goes on behind its message; ${method} takes one`, Code.Unimplemented);
    }
    left -= chunk.length;
    yield chunk;
  }
}
