import { Schema } from "effect";

/** The service cannot listen on its address. */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", {
  host: Schema.String,
  port: Schema.Number,
  /** Path of a Unix socket in place of these two. */
  socket: Schema.optionalKey(Schema.String),
  /** Node's error code, e.g. EADDRINUSE. */
  code: Schema.String,
}) {
  override get message(): string {
    if (this.socket !== undefined) return socketMessage(this.socket, this.code);
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

const socketMessage = (socket: string, code: string): string => {
  switch (code) {
    case "EADDRINUSE":
      return `${socket} is in use: stop the program that listens there, or set MLXD_SOCKET to another path`;
    case "ENOTSOCK":
      return `${socket} is there and is no socket: set MLXD_SOCKET to another path`;
    case "ENOENT":
    case "ENOTDIR":
      return `the folder of ${socket} is not there: make it, or set MLXD_SOCKET to another path`;
    case "EACCES":
      return `the folder of ${socket} may not be written to by this user`;
    case "EINVAL":
    case "ENAMETOOLONG":
      return `${socket} is longer than a socket's path may be: set MLXD_SOCKET to one of 100 characters at most`;
    case withTls:
      return "a Unix socket speaks cleartext: leave out MLXD_SOCKET, or MLXD_TLS_CERT and MLXD_TLS_KEY";
    default:
      return `cannot listen on ${socket}: ${code}`;
  }
};

const withTls = "TLS";

interface Place {
  readonly host: string;
  readonly port: number;
  readonly socket: string | undefined;
}

export const listenFailed = ({ host, port, socket }: Place, code: string): ListenFailed =>
  new ListenFailed({ host, port, ...(socket !== undefined && { socket }), code });

export const socketWithTls = (place: Place): ListenFailed => listenFailed(place, withTls);
