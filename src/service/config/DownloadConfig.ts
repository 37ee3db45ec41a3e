/** Where models are downloaded from, and whether. */
import { homedir } from "node:os";
import { join } from "node:path";
import { Config, Context, Layer, Redacted, Schema } from "effect";

import { wholeNumber } from "./whole-number.ts";

export interface DownloadSettings {
  /** The hub's URL, without a slash at its end. */
  readonly endpoint: string;
  /** Sent to the endpoint and to nobody else. */
  readonly token: Redacted.Redacted | undefined;
  /** No request leaves this machine. */
  readonly offline: boolean;
  /** Files that are fetched at once, of all downloads together. */
  readonly concurrency: number;
  /** Folder in which the hub's clients on this machine keep what they fetch; it may be missing. */
  readonly cacheDirectory: string;
}

/** Without credentials, which would be told in error messages, and without a query. */
const httpUrl = /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/;

const maybe = <A>(config: Config.Config<A>): Config.Config<A | undefined> => Config.withDefault(config, undefined);

/** The hub's own variables hold too, so that what is set up for its other clients works here; the service's come first. */
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

/** As the hub's own clients find it. */
const cacheDirectory = ({ hub, home, all }: CacheFolders): string => {
  if (hub) return withHome(hub);
  if (home) return join(withHome(home), "hub");
  return join(all ? withHome(all) : join(homedir(), ".cache"), "huggingface", "hub");
};

const withHome = (path: string): string => (/^~(\/|$)/.test(path) ? join(homedir(), path.slice(1)) : path);

export class DownloadConfig extends Context.Service<DownloadConfig, DownloadSettings>()("mlxd/config/DownloadConfig") {
  static readonly layer = Layer.effect(DownloadConfig, downloadSettings);
}
