/** What guard-channel.test.ts starts: a process that writes what is no message to its channel. */
import { writeSync } from "node:fs";
import { serialize } from "node:v8";

const channel = Number(process.env["NODE_CHANNEL_FD"] ?? 3);
// Node takes the variable away, and the channel of fork is the first descriptor after the standard ones.
const descriptor = Number.isInteger(channel) && channel > 2 ? channel : 3;

/** A message as Node frames it: its length, then V8's form of it. */
const framed = (bytes: Uint8Array): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
const noise = framed(Buffer.from("this is no form of V8's at all"));

const stay = (): void => void setInterval(() => {}, 1000);
switch (process.argv[2]) {
  case "noise":
    writeSync(descriptor, noise);
    stay();
    break;
  case "zeros":
    writeSync(descriptor, Buffer.alloc(64));
    stay();
    break;
  case "a cut message":
    writeSync(descriptor, framed(serialize({ a: [1, 2, 3] }).subarray(0, 6)));
    stay();
    break;
  case "noise after a message":
    process.send?.("hello", () => writeSync(descriptor, noise));
    stay();
    break;
  default:
    process.send?.("hello");
    process.send?.({ bytes: new Float32Array([1, 2]) }, () => process.exit());
}
