/** HTTP/2 frame by frame, to see what a library hides and to do what no library does. */
import { connect, type Socket } from "node:net";

export const frameTypes = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  continuation: 9,
} as const;
const flags = { ack: 1, endStream: 1, endHeaders: 4 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const maxFrameBytes = 16_384;

export class RawHttp2 {
  readonly socket: Socket;
  /** In order of arrival. */
  readonly frames: Frame[] = [];
  #rest = Buffer.alloc(0);
  #waiting: Array<() => void> = [];

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.on("error", () => {}).on("data", (chunk: Buffer) => this.#read(chunk));
    this.socket.on("close", () => this.#tell());
    this.socket.write(preface);
    this.send(frameTypes.settings, 0, 0, Buffer.alloc(0));
  }

  send(type: number, frameFlags: number, streamId: number, payload: Uint8Array): void {
    if (this.socket.writableEnded) return;
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(frameFlags, 4);
    head.writeUInt32BE(streamId, 5);
    this.socket.write(Buffer.concat([head, payload]));
  }

  /** A request's headers, in as many frames as they need. */
  sendHeaders(streamId: number, headers: Readonly<Record<string, string>>, endStream = false): void {
    const block = Buffer.concat(Object.entries(headers).map(([name, value]) => literal(name, value)));
    for (let start = 0; start === 0 || start < block.length; start += maxFrameBytes) {
      const isLast = start + maxFrameBytes >= block.length;
      const isFirst = start === 0;
      this.send(
        isFirst ? frameTypes.headers : frameTypes.continuation,
        (isLast ? flags.endHeaders : 0) | (isFirst && endStream ? flags.endStream : 0),
        streamId,
        block.subarray(start, start + maxFrameBytes),
      );
    }
  }

  /** A gRPC call with one message, which is complete unless `isOpen`. */
  call(streamId: number, path: string, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): void {
    this.sendHeaders(streamId, {
      ":method": "POST",
      ":scheme": "http",
      ":path": path,
      ":authority": "127.0.0.1",
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    for (let start = 0; start < body.length; start += maxFrameBytes) {
      const isLast = start + maxFrameBytes >= body.length;
      this.send(frameTypes.data, isLast ? flags.endStream : 0, streamId, body.subarray(start, start + maxFrameBytes));
    }
  }

  of(streamId: number): ReadonlyArray<Frame> {
    return this.frames.filter((frame) => frame.streamId === streamId);
  }

  /** The first frame that fits, once it is there; undefined when the connection ends without. */
  async until(fits: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined || this.socket.closed) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  close(): void {
    this.socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      if (this.#rest.length < 9) break;
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) break;
      const frame = {
        type: this.#rest.readUInt8(3),
        flags: this.#rest.readUInt8(4),
        streamId: this.#rest.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(this.#rest.subarray(9, 9 + length)),
      };
      this.#rest = this.#rest.subarray(9 + length);
      if (frame.type === frameTypes.settings && frame.flags === 0)
        this.send(frameTypes.settings, flags.ack, 0, Buffer.alloc(0));
      if (frame.type === frameTypes.ping && frame.flags === 0) this.send(frameTypes.ping, flags.ack, 0, frame.payload);
      this.frames.push(frame);
    }
    this.#tell();
  }

  #tell(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** A header that neither side has to remember: https://www.rfc-editor.org/rfc/rfc7541#section-6.2.2 */
const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.of(0), encodeText(name), encodeText(value)]);

const encodeText = (text: string): Buffer => Buffer.concat([encodeLength(Buffer.byteLength(text)), Buffer.from(text)]);

const encodeLength = (length: number): Buffer => {
  if (length < 127) return Buffer.of(length);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
};
