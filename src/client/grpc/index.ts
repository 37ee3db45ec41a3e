/** The client over @grpc/grpc-js, for Node: with its name resolution, load balancing, service config and interceptors. */
import {
  type ChannelCredentials,
  Client,
  type ClientOptions as ChannelOptions,
  credentials as channelCredentialsOf,
} from "@grpc/grpc-js";
import { checkObject, checkText } from "../check.ts";
import type { MlxdClient } from "../client.ts";
import type { ClientOptions } from "../client-options.ts";
import { createMlxdClientFromTransport } from "../create-client.ts";
import { createGrpcJsTransport } from "./transport.ts";

export * from "../index.ts";
export { createGrpcJsTransport } from "./transport.ts";

/** Options of {@link createMlxdClient}. */
export interface GrpcClientOptions extends ClientOptions {
  /**
   * Where the service listens, as gRPC names it: `host:port`, `dns:///host:port`, `ipv4:...`, `unix:...`. With TLS, an
   * address needs the channel option `grpc.ssl_target_name_override`: Node 26 refuses what grpc-js does without.
   * @default "127.0.0.1:50051"
   */
  readonly target?: string | undefined;
  /**
   * The credentials of the channel, e.g. `credentials.createSsl()` of @grpc/grpc-js.
   * @default cleartext
   */
  readonly channelCredentials?: ChannelCredentials | undefined;
  /**
   * Options of the channel, e.g. `grpc.keepalive_time_ms`, `grpc.service_config` and interceptors.
   * @default those of grpc-js, with messages of up to 64 MiB and without its retries
   */
  readonly channelOptions?: ChannelOptions | undefined;
}

/** Makes a client over a channel of grpc-js. */
export const createMlxdClient = (options: GrpcClientOptions = {}): MlxdClient => {
  checkObject(options, "options");
  const { target = "127.0.0.1:50051", channelCredentials = channelCredentialsOf.createInsecure(), ...others } = options;
  const { channelOptions = {}, ...clientOptions } = others;
  checkText(target, "target");
  const allOptions: ChannelOptions = {
    "grpc.max_receive_message_length": 64 * 1024 * 1024,
    "grpc.enable_retries": 0, // the client retries itself, and follows the delays of the service
    ...checkObject(channelOptions, "channelOptions"),
  };
  // A closed channel cannot be reopened; a later call opens another one.
  let channel: Client | undefined;
  const opened = (): Client => (channel ??= new Client(target, channelCredentials, allOptions));
  const close = (): void => {
    channel?.close();
    channel = undefined;
  };
  return createMlxdClientFromTransport(createGrpcJsTransport(opened), clientOptions, close);
};
