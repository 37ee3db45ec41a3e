/** How many connections there may be, of one peer and in all, and for how long. */
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";

import { isLoopback } from "../access/exposure.ts";
import type { ConnectionLimit, ConnectionLimits } from "../config/connection-settings.ts";

export const noConnectionLimits: ConnectionLimits = {
  maxConnections: Infinity,
  maxConnectionsPerPeer: Infinity,
  maxConnectionIdleMs: 0,
  maxConnectionAgeMs: 0,
  connectionAgeGraceMs: 0,
};

/** @param address of the peer, as far as connections are counted by it */
type OnRefused = (limit: ConnectionLimit, address: string | undefined) => void;

export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #onRefused: OnRefused;
  readonly #byPeer = new Map<string, number>();
  readonly #aged = new WeakSet<Socket>();
  #open = 0;

  constructor(limits: ConnectionLimits, onRefused: OnRefused) {
    this.#limits = limits;
    this.#onRefused = onRefused;
  }

  /**
   * Counts a connection until it closes. A connection over the limit is closed immediately, before anything is read
   * from it, and the result is false.
   */
  admit(socket: Socket): boolean {
    const peer = countedPeer(socket);
    const { maxConnections, maxConnectionsPerPeer } = this.#limits;
    const ofPeer = peer === undefined ? 0 : (this.#byPeer.get(peer) ?? 0);
    if (this.#open >= maxConnections || ofPeer >= maxConnectionsPerPeer) {
      this.#onRefused(this.#open >= maxConnections ? "MLXD_MAX_CONNECTIONS" : "MLXD_MAX_CONNECTIONS_PER_PEER", peer);
      socket.destroy();
      return false;
    }
    this.#open += 1;
    if (peer !== undefined) this.#byPeer.set(peer, ofPeer + 1);
    socket.once("close", () => {
      this.#open -= 1;
      if (peer === undefined) return;
      const left = (this.#byPeer.get(peer) ?? 1) - 1;
      if (left === 0) this.#byPeer.delete(peer);
      else this.#byPeer.set(peer, left);
    });
    return true;
  }

  /** Sends GOAWAY once the session has had no stream for the idle time. Answers to pings do not count as use. */
  watchIdle(session: ServerHttp2Session): void {
    const { maxConnectionIdleMs } = this.#limits;
    if (maxConnectionIdleMs === 0) return;
    const start = () => setTimeout(() => session.close(), maxConnectionIdleMs);
    let timer = start();
    let streams = 0;
    session.on("stream", (stream) => {
      streams += 1;
      clearTimeout(timer);
      stream.once("close", () => {
        streams -= 1;
        if (streams === 0 && !session.closed) timer = start();
      });
    });
    session.once("close", () => clearTimeout(timer));
  }

  /** Sends GOAWAY at a certain age. Streams that the peer has begun by then may finish within the grace time. */
  age(session: ServerHttp2Session): void {
    this.#atAge(
      session,
      () => session.close(),
      () => session.destroy(),
    );
  }

  /** The same for HTTP/1.1: the next response is the last one of its connection. */
  ageHttp1(socket: Socket): void {
    this.#atAge(
      socket,
      () => this.#aged.add(socket),
      () => socket.destroy(),
    );
  }

  /** Whether the connection takes no further request. */
  isAged(socket: Socket): boolean {
    return this.#aged.has(socket);
  }

  #atAge(connection: Pick<Socket | ServerHttp2Session, "once">, close: () => void, cut: () => void): void {
    const { maxConnectionAgeMs, connectionAgeGraceMs } = this.#limits;
    if (maxConnectionAgeMs === 0) return;
    // Spread, so that connections that were opened together do not reconnect together.
    const ageMs = maxConnectionAgeMs * (0.9 + Math.random() * 0.2);
    let timer = setTimeout(() => {
      close();
      timer = setTimeout(cut, connectionAgeGraceMs);
    }, ageMs);
    connection.once("close", () => clearTimeout(timer));
  }
}

/** Undefined: only all connections together are counted. A proxy or sidecar on this machine brings those of everybody. */
const countedPeer = ({ remoteAddress }: Socket): string | undefined =>
  remoteAddress === undefined || isLoopback(remoteAddress) ? undefined : remoteAddress;
