import { Schema } from "effect";

/** The service cannot listen on its address. */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", {
  host: Schema.String,
  port: Schema.Number,
  /** Node's error code, e.g. EADDRINUSE. */
  code: Schema.String,
}) {
  override get message(): string {
    const address = `${this.host}:${this.port}`;
    switch (this.code) {
      case "EADDRINUSE":
        return `${address} is in use: stop the program that listens there, or set MLXD_PORT to another port`;
      case "EACCES":
        return `listening on ${address} is not allowed: set MLXD_PORT to a port from 1024 on`;
      case "EADDRNOTAVAIL":
      case "ENOTFOUND":
        return `${this.host} is no address of this machine: set MLXD_HOST to one, or to 0.0.0.0 for all`;
      default:
        return `cannot listen on ${address}: ${this.code}`;
    }
  }
}
