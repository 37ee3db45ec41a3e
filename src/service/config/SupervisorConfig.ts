/** The variables of sd_notify(3), which systemd sets if it has started the service and wants to be notified. */
import { Config, Context, Layer, Option, Schema } from "effect";

export interface SupervisorSettings {
  /** The socket on which systemd listens; undefined if it does not want notifications. */
  readonly socket: string | undefined;
  /** It ends and restarts a service that it has heard nothing of for so long; undefined: never. */
  readonly watchdogMs: number | undefined;
}

const supervisorSettings = Config.all({
  socket: Config.option(Config.String("NOTIFY_SOCKET")),
  watchdogMicros: Config.option(
    Config.schema(Schema.NumberFromString.check(Schema.isBetween({ minimum: 1, maximum: 1e12 })), "WATCHDOG_USEC"),
  ),
}).pipe(
  Config.map(({ socket, watchdogMicros }): SupervisorSettings => ({
    socket: Option.getOrUndefined(Option.filter(socket, (path) => path !== "")),
    watchdogMs: Option.getOrUndefined(Option.map(watchdogMicros, (micros) => micros / 1000)),
  })),
);

export class SupervisorConfig extends Context.Service<SupervisorConfig, SupervisorSettings>()(
  "mlxd/config/SupervisorConfig",
) {
  static readonly layer = Layer.effect(SupervisorConfig, supervisorSettings);
}
