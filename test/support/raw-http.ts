/** HTTP without an RPC client in between, for requests that no such client would make. */
import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  readonly trailers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
  /** Gives the call up: its connection closes. */
  readonly signal?: AbortSignal;
}

export const requestHttp1 = async (port: number, request: RawRequest): Promise<RawResponse> => {
  const agent = new http.Agent({ keepAlive: true });
  try {
    const { method = "POST", path, headers, body, signal } = request;
    const sent = http.request({ host: "127.0.0.1", port, method, path, headers, agent, ...(signal && { signal }) });
    sent.end(body);
    const [response] = (await once(sent, "response")) as [http.IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const { statusCode = 0, trailers } = response;
    return { status: statusCode, headers: response.headers, trailers, body: Buffer.concat(chunks) };
  } finally {
    agent.destroy();
  }
};

export const requestHttp2 = async (port: number, request: RawRequest): Promise<RawResponse> => {
  // Node's client drops the headers of a response while it has more than 10 MB to send.
  const session = http2.connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 1000 });
  try {
    const { method = "POST", path, headers, body, signal } = request;
    const stream = session.request({ ":method": method, ":path": path, ...headers }, { ...(signal && { signal }) });
    let trailers: RawResponse["trailers"] = {};
    stream.once("trailers", (received: RawResponse["trailers"]) => (trailers = received));
    stream.end(body);
    const [received] = (await once(stream, "response")) as [http2.IncomingHttpHeaders & { ":status": number }];
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const { ":status": status, ...rest } = received;
    return { status, headers: rest, trailers, body: Buffer.concat(chunks) };
  } finally {
    if (request.signal?.aborted === true) session.destroy();
    else session.close();
  }
};

/** A message in the envelope of gRPC, gRPC-Web and Connect streams. */
export const envelope = (message: Uint8Array, claimedLength = message.length): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(claimedLength, 1);
  return Buffer.concat([head, message]);
};
