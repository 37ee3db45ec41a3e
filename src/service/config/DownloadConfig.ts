/** Where models are downloaded from, and whether. */
import { Config, Context, Layer, Redacted } from "effect";

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
}

/** The hub's own variables hold too, so that what is set up for its other clients works here. */
const settings = Config.all({
  endpoint: Config.URL("HF_ENDPOINT").pipe(
    Config.withDefault(new URL("https://huggingface.co")),
    Config.map((url) => url.href.replace(/\/+$/, "")),
  ),
  token: Config.Redacted("MLXD_HF_TOKEN").pipe(
    Config.orElse(() => Config.Redacted("HF_TOKEN")),
    Config.map((token) => (Redacted.value(token) === "" ? undefined : token)),
    Config.withDefault(undefined),
  ),
  offline: Config.Boolean("MLXD_OFFLINE").pipe(
    Config.orElse(() => Config.Boolean("HF_HUB_OFFLINE")),
    Config.withDefault(false),
  ),
  concurrency: wholeNumber("MLXD_DOWNLOAD_CONCURRENCY", { minimum: 1, maximum: 64, fallback: 4 }),
});

export class DownloadConfig extends Context.Service<DownloadConfig, DownloadSettings>()("mlxd/config/DownloadConfig") {
  static readonly layer = Layer.effect(DownloadConfig, settings);
}
