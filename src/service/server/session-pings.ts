import type { ServerHttp2Session } from "node:http2";

/**
 * Finds HTTP/2 peers that have gone without closing: a session that has not answered a ping by the time of the next one
 * is ended.
 */
export class SessionPings {
  readonly #sessions: ReadonlySet<ServerHttp2Session>;
  readonly #intervalMs: number;
  readonly #unanswered = new WeakSet<ServerHttp2Session>();
  #timer: NodeJS.Timeout | undefined;

  constructor(sessions: ReadonlySet<ServerHttp2Session>, intervalMs: number) {
    this.#sessions = sessions;
    this.#intervalMs = intervalMs;
  }

  start(): void {
    this.#timer = setInterval(() => this.#round(), this.#intervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #round(): void {
    for (const session of this.#sessions) {
      if (session.destroyed) continue;
      if (this.#unanswered.has(session)) {
        session.destroy();
        continue;
      }
      this.#unanswered.add(session);
      session.ping((error) => {
        if (error === null) this.#unanswered.delete(session);
      });
    }
  }
}
