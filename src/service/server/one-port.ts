/**
 * HTTP/1.1 and HTTP/2 on one port. On a cleartext connection the first bytes tell them apart, with TLS the ALPN
 * protocol; without ALPN it is HTTP/1.1.
 */
import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import * as https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { SecureContextOptions, TLSSocket } from "node:tls";

import { Connections, noConnectionLimits } from "./connection-limits.ts";
import { listenOnSocket } from "./unix-socket.ts";
import { answerUnreadable } from "./unreadable-http1.ts";
import { SessionPings } from "./session-pings.ts";

export type Request = http.IncomingMessage | http2.Http2ServerRequest;
export type Response = http.ServerResponse | http2.Http2ServerResponse;
export type RequestHandler = (request: Request, response: Response) => void;

export interface OnePortOptions {
  /** A connection whose protocol is still unknown after this time is closed. */
  readonly sniffMs?: number;
  /** How often HTTP/2 peers are pinged. @default 30 s */
  readonly pingMs?: number;
  /** @default as many as come, for as long as they like */
  readonly connections?: Connections | undefined;
  /** Absent: cleartext. */
  readonly tls?: PortTls | undefined;
}

export interface PortTls {
  readonly context: SecureContextOptions;
  /** Whether clients are asked for a certificate, and rejected without a valid one. */
  readonly clientCertificate: "none" | "optional" | "required";
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** Longer than load balancers keep idle connections, so that they close them and no request meets a reset. */
const keepAliveMs = 75_000;

/** For one request, names and values together. */
export const maxHeaderBytes = 65_536;

const http1Options: http.ServerOptions = {
  maxHeaderSize: maxHeaderBytes,
  headersTimeout: 20_000,
  requestTimeout: 60_000,
  keepAliveTimeout: keepAliveMs,
  keepAlive: true, // TCP's keep-alive, which detects dead HTTP/1.1 peers
  keepAliveInitialDelay: 60_000,
};

const tlsOptions = ({ context, clientCertificate }: PortTls): https.ServerOptions => ({
  ...http1Options,
  ...context,
  ALPNProtocols: ["h2", "http/1.1"],
  requestCert: clientCertificate !== "none",
  rejectUnauthorized: clientCertificate === "required",
  handshakeTimeout: 10_000,
});

const http2Options: http2.ServerOptions = {
  // Node announces no limits by default. Clients that respect the announced header size (grpc-go, grpc-java, grpcio)
  // refuse a larger call themselves; other clients' calls are reset individually. If a client ignores the limit,
  // nghttp2's own limits end its connection: one header over 64 KiB as encoded (NGHTTP2_HD_MAX_NV), or more than eight
  // CONTINUATION frames, 144 KiB in all. Neither can be configured in Node; `maxHeaderListPairs`, `maxSessionMemory`
  // and a larger `maxFrameSize` do not affect them.
  settings: { maxConcurrentStreams: 256, maxHeaderListSize: maxHeaderBytes },
  // Cancelling is normal for this service. By Node's default of 1,000 and then 33 per second, a client that cancels
  // often would lose all its other calls.
  streamResetBurst: 10_000,
  streamResetRate: 2_000,
  // A related limit: Node counts a stream until its own side of it is closed, so it rejects new streams of a peer that
  // cancels faster than that. By default the hundred-and-first rejection ends the connection, with INTERNAL_ERROR for
  // all calls.
  maxSessionRejectedStreams: 10_000,
  // In MiB. The default of 10 is exceeded by 256 slow readers, and the session then rejects new streams.
  maxSessionMemory: 64,
};

const unlimited = (): Connections => new Connections(noConnectionLimits, () => {});

export class OnePort {
  readonly #h1: http.Server | https.Server;
  readonly #h2: http2.Http2Server;
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  readonly #undecided = new Set<Socket>();
  readonly #pings: SessionPings;
  readonly #sniffMs: number;

  constructor(
    handler: RequestHandler,
    { sniffMs = 10_000, pingMs = 30_000, tls, connections = unlimited() }: OnePortOptions = {},
  ) {
    this.#sniffMs = sniffMs;
    const handleHttp1: RequestHandler = (request, response) => {
      if (connections.isAged(request.socket)) response.setHeader("Connection", "close");
      handler(request, response);
    };
    this.#pings = new SessionPings(this.#sessions, pingMs);
    this.#h2 = http2.createServer(http2Options, handler);
    // This server also listens, because its close() and time-outs have no effect on a server that never listened.
    this.#h1 =
      tls === undefined
        ? http.createServer(http1Options, handleHttp1)
        : https.createServer(tlsOptions(tls), handleHttp1);
    this.#h2.on("session", (session) => {
      this.#sessions.add(session);
      connections.watchIdle(session);
      connections.age(session);
      session.once("close", () => this.#sessions.delete(session));
    });
    const opened = tls === undefined ? "connection" : "secureConnection";
    const takeHttp1 = this.#h1.listeners(opened)[0] as (socket: Socket) => void;
    this.#h1.removeListener(opened, takeHttp1);
    const asHttp1 = (socket: Socket): void => {
      connections.ageHttp1(socket);
      takeHttp1.call(this.#h1, socket);
    };
    if (tls === undefined) this.#h1.on(opened, (socket: Socket) => this.#sniff(socket, asHttp1));
    else {
      this.#h1.on(opened, (socket: TLSSocket) => {
        if (socket.alpnProtocol === "h2") this.#asHttp2(socket);
        else asHttp1(socket);
      });
    }
    this.#admitFirst(connections);
    this.#h1.on("clientError", answerUnreadable);
  }

  async listenOnSocket(path: string, mode: number): Promise<void> {
    await listenOnSocket(this.#h1, path, mode);
    this.#pings.start();
  }

  async listen(port: number, host: string): Promise<AddressInfo> {
    this.#h1.listen(port, host);
    await once(this.#h1, "listening");
    this.#pings.start();
    return this.#h1.address() as AddressInfo; // it is an object for a TCP server
  }

  /** Nothing is begun for a connection over the limit, least of all a TLS handshake, which costs the most. */
  #admitFirst(connections: Connections): void {
    const begin = this.#h1.listeners("connection");
    this.#h1.removeAllListeners("connection");
    this.#h1.on("connection", (socket: Socket) => {
      if (connections.admit(socket)) for (const each of begin) Reflect.apply(each, this.#h1, [socket]);
    });
  }

  /** New connections use these TLS files; open connections are not affected. */
  changeTls(context: SecureContextOptions): void {
    if ("setSecureContext" in this.#h1) this.#h1.setSecureContext(context);
  }

  /**
   * Tells HTTP/2 peers to open no more streams (GOAWAY); running ones may finish. New connections are still accepted.
   */
  goAway(): void {
    for (const session of this.#sessions) session.close();
  }

  /**
   * Closes the port and ends every connection. Data that was written is still delivered within `flushMs`; calls that
   * are still running are cut off.
   */
  async close(flushMs: number): Promise<void> {
    this.#pings.stop();
    this.goAway();
    const closed = once(this.#h1, "close");
    this.#h1.close();
    for (const socket of this.#undecided) socket.destroy();
    // close() ends only the HTTP/1.1 connections that are idle at that moment.
    const reap = setInterval(() => this.#h1.closeIdleConnections(), 20);
    const cut = setTimeout(() => {
      for (const session of this.#sessions) session.destroy();
      this.#h1.closeAllConnections();
    }, flushMs);
    await closed;
    clearInterval(reap);
    clearTimeout(cut);
  }

  #sniff(socket: Socket, asHttp1: (socket: Socket) => void): void {
    let head = Buffer.alloc(0);
    const drop = () => socket.destroy();
    const timer = setTimeout(drop, this.#sniffMs);
    const detach = () => {
      clearTimeout(timer);
      this.#undecided.delete(socket);
      socket.off("data", read).off("error", drop).off("end", drop).off("close", detach);
    };
    const read = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const length = Math.min(head.length, preface.length);
      const isH2 = preface.compare(head, 0, length, 0, length) === 0;
      if (isH2 && length < preface.length) return; // a prefix of the preface so far: wait for more
      detach();
      // The order matters: an HTTP/2 session reads unshifted data by itself and hangs after a resume(), while an
      // HTTP/1.1 parser hangs without it.
      socket.pause().unshift(head);
      if (isH2) {
        this.#asHttp2(socket);
      } else {
        asHttp1(socket);
        socket.resume();
      }
    };
    this.#undecided.add(socket);
    socket.on("data", read).on("error", drop).on("end", drop).on("close", detach);
  }

  /**
   * http.Server allows half-open sockets. For HTTP/2, a peer that closes its side is gone, so the socket closes as
   * well, and with it the session and its calls.
   */
  #asHttp2(socket: Socket): void {
    socket.allowHalfOpen = false;
    this.#h2.emit("connection", socket);
  }
}
