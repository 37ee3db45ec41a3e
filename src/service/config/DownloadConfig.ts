/** Whether and from where models are downloaded. */
import { homedir } from "node:os";
import { join } from "node:path";
import { Config, Context, Layer, Redacted, Schema } from "effect";

import { wholeNumber } from "./whole-number.ts";

export interface DownloadSettings {
  /** The hub's URL, without a trailing slash. */
  readonly endpoint: string;
  /** Sent only to the endpoint. */
  readonly token: Redacted.Redacted | undefined;
  /** No request leaves this machine. */
  readonly offline: boolean;
  /** How many files are fetched at once, over all downloads. */
  readonly concurrency: number;
  /** The folder where the hub's clients on this machine cache downloads; it may be missing. */
  readonly cacheDirectory: string;
}

/** Without credentials, which error messages would reveal, and without a query. */
const httpUrl = /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/;

const maybe = <A>(config: Config.Config<A>): Config.Config<A | undefined> => Config.withDefault(config, undefined);

/**
 * The hub's own variables apply, too, so that a set-up for its other clients works here; the service's variables take
 * precedence.
 */
export const downloadSettings = Config.all({
  endpoint: Config.schema(Schema.String.check(Schema.isPattern(httpUrl)), "HF_ENDPOINT").pipe(
    Config.withDefault("https://huggingface.co"),
    Config.map((url) => url.replace(/\/+$/, "")),
  ),
  tokens: Config.all([maybe(Config.Redacted("MLXD_HF_TOKEN")), maybe(Config.Redacted("HF_TOKEN"))]),
  offline: Config.all([maybe(Config.Boolean("MLXD_OFFLINE")), maybe(Config.Boolean("HF_HUB_OFFLINE"))]),
  cache: Config.all({
    hub: maybe(Config.String("HF_HUB_CACHE")),
    home: maybe(Config.String("HF_HOME")),
    all: maybe(Config.String("XDG_CACHE_HOME")),
  }),
  concurrency: wholeNumber("MLXD_DOWNLOAD_CONCURRENCY", { minimum: 1, maximum: 64, fallback: 4 }),
}).pipe(
  Config.map(({ tokens, offline: [own, hub], cache, ...rest }) => ({
    ...rest,
    token: tokens.find((token) => token !== undefined && Redacted.value(token) !== ""),
    offline: own ?? hub ?? false,
    cacheDirectory: cacheDirectory(cache),
  })),
);

interface CacheFolders {
  readonly hub: string | undefined;
  readonly home: string | undefined;
  readonly all: string | undefined;
}

/** Located as the hub's own clients do. */
const cacheDirectory = ({ hub, home, all }: CacheFolders): string => {
  if (hub) return withHome(hub);
  if (home) return join(withHome(home), "hub");
  return join(all ? withHome(all) : join(homedir(), ".cache"), "huggingface", "hub");
};

const withHome = (path: string): string => (/^~(\/|$)/.test(path) ? join(homedir(), path.slice(1)) : path);

export class DownloadConfig extends Context.Service<DownloadConfig, DownloadSettings>()("mlxd/config/DownloadConfig") {
  static readonly layer = Layer.effect(DownloadConfig, downloadSettings);
}
