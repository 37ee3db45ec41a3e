/**
 * What stands before a service in the world: it speaks TLS, HTTP/2 or HTTP/1.1 as the client likes, and asks for a key. It can be
 * killed, as a machine that loses its power, and started again at the same address.
 */
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Certificate } from "./certificate.ts";

export interface Front extends AsyncDisposable {
  readonly port: number;
  /** Tells `kill` and `start` to programs in other processes: `POST /kill`. */
  readonly controlUrl: string;
}

export const startFront = async (serviceUrl: string, apiKey: string, certificate: Certificate): Promise<Front> => {
  let running = await listen(serviceUrl, apiKey, certificate, 0);
  const { port } = running;
  const control = http.createServer((request, response) => {
    const obey = async (): Promise<void> => {
      if (request.url === "/kill") await running.kill();
      if (request.url === "/start") running = await listen(serviceUrl, apiKey, certificate, port);
      response.writeHead(200, { "access-control-allow-origin": "*" }).end();
    };
    obey().catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  control.listen(0, "127.0.0.1");
  await once(control, "listening");
  return {
    port,
    controlUrl: `http://127.0.0.1:${(control.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      await running.kill();
      control.close();
      control.closeAllConnections();
    },
  };
};

const listen = async (serviceUrl: string, apiKey: string, { key, cert }: Certificate, port: number) => {
  const service = http2.connect(serviceUrl);
  service.on("error", () => {});
  const server = http2.createSecureServer({ key, cert, allowHTTP1: true }, (request, response) => {
    if (request.method === "OPTIONS" || request.headers.authorization === `Bearer ${apiKey}`) {
      return forward(service, request, response);
    }
    request.resume();
    response.writeHead(401, { "access-control-allow-origin": "*" }).end();
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    kill: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.resetAndDestroy();
      service.destroy();
      await closed;
    },
  };
};

const forward = (
  service: http2.ClientHttp2Session,
  request: http2.Http2ServerRequest,
  response: http2.Http2ServerResponse,
): void => {
  const { method, url } = request;
  const sent = service.request({ ...endToEnd(request.headers), ":method": method, ":path": url, te: "trailers" });
  sent.on("error", () => response.stream?.close());
  sent.on("response", (headers) => response.writeHead(headers[":status"] ?? 502, endToEnd(headers)));
  sent.on("trailers", (trailers) => response.addTrailers(endToEnd(trailers)));
  sent.on("data", (data: Buffer) => {
    if (response.write(data)) return;
    sent.pause();
    response.once("drain", () => sent.resume());
  });
  sent.on("end", () => response.end());
  response.on("close", () => sent.close(http2.constants.NGHTTP2_CANCEL));
  response.on("error", () => {});
  request.pipe(sent);
};

/** Without what belongs to one connection. */
const endToEnd = (headers: http2.IncomingHttpHeaders): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      /^(:.*|connection|host|keep-alive|te|transfer-encoding|upgrade)$/.test(name) || value === undefined
        ? []
        : [[name, value]],
    ),
  );
