/** The public keys of a token issuer, from a file or a URL, read again when they change. */
import { readFile, stat } from "node:fs/promises";
import { createLocalJWKSet, createRemoteJWKSet, customFetch, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { Duration, Effect, Schedule, type Scope } from "effect";

import { watchFiles } from "../../config/watch-files.ts";

/** The limit for a key set; one key takes about a thousand bytes. */
export const maxKeySetBytes = 262_144;

export interface FetchTiming {
  /** Timeout of one fetch. */
  readonly timeoutMs: number;
  /** How often keys are fetched again even if none is missing. */
  readonly refreshMs: number;
  /** How soon keys are fetched again if there are none, or after a failed fetch. */
  readonly retryMs: number;
  /** A token with an unknown key causes a fetch at most this often, so that invented key ids cause no load. */
  readonly cooldownMs: number;
  /** How long the last keys stay in use while the server does not answer. */
  readonly maxStaleMs: number;
}

export const usualTiming: FetchTiming = {
  timeoutMs: 5000,
  refreshMs: 10 * 60_000,
  retryMs: 5000,
  cooldownMs: 30_000,
  maxStaleMs: 24 * 3_600_000,
};

export interface KeySource {
  /** Undefined while there are no valid keys. A function of jose. */
  readonly keys: () => JWTVerifyGetKey | undefined;
}

/** There is no key set: `message` says why, without paths. */
export class KeySetUnusable extends Error {}

/** @param location an absolute path, or a URL */
export const makeKeySource = (
  location: string,
  timing: FetchTiming,
): Effect.Effect<KeySource, KeySetUnusable, Scope.Scope> =>
  isUrl(location) ? urlSource(new URL(location), timing) : fileSource(location);

export const isUrl = (location: string): boolean => /^https?:\/\//i.test(location);

/** A broken file is a configuration error at the start; if it breaks later, the previous keys stay in use. */
const fileSource = (path: string): Effect.Effect<KeySource, KeySetUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    const load = Effect.tryPromise({ try: () => readKeySet(path), catch: unusable });
    let keys = yield* load;
    yield* watchFiles(
      [path],
      load.pipe(
        Effect.tap((read) => Effect.sync(() => (keys = read))),
        Effect.andThen(Effect.logInfo("the keys of access.jwt were read anew")),
        Effect.catch(({ message }) =>
          Effect.logError(`the keys of access.jwt were not read anew, and the ones before stay: ${message}`),
        ),
      ),
    );
    return { keys: () => keys };
  });

const readKeySet = async (path: string): Promise<JWTVerifyGetKey> => {
  const { size } = await stat(path);
  if (size > maxKeySetBytes) throw new KeySetUnusable(tooLarge);
  return createLocalJWKSet(JSON.parse(await readFile(path, "utf8")) as JSONWebKeySet);
};

/**
 * A server that does not answer does not prevent the service from starting: until it does, tokens are refused as
 * retryable.
 */
const urlSource = (url: URL, timing: FetchTiming): Effect.Effect<KeySource, never, Scope.Scope> =>
  Effect.gen(function* () {
    let fetchedAt = -Infinity;
    let failedAt = -Infinity;
    const remote = createRemoteJWKSet(url, {
      timeoutDuration: timing.timeoutMs,
      cooldownDuration: timing.cooldownMs,
      cacheMaxAge: Infinity, // they are refreshed here, so that a server that is away for a while ends nothing
      [customFetch]: async (address, options) => {
        if (performance.now() - failedAt < timing.retryMs) throw new KeySetUnusable("the last try failed a moment ago");
        try {
          const response = await fetchBounded(address, options);
          fetchedAt = performance.now();
          return response;
        } catch (cause) {
          failedAt = performance.now();
          throw cause;
        }
      },
    });
    const refresh = Effect.tryPromise({ try: () => remote.reload(), catch: unusable }).pipe(
      Effect.catch(({ message }) =>
        Effect.logWarning(`the keys of access.jwt could not be fetched: ${message}`).pipe(
          Effect.annotateLogs({ host: url.host, haveKeys: remote.jwks() !== undefined }),
        ),
      ),
    );
    yield* refresh;
    // Sooner while there are none.
    const pause = () => (remote.jwks() === undefined ? timing.retryMs : timing.refreshMs);
    yield* Effect.suspend(() => Effect.delay(refresh, Duration.millis(pause()))).pipe(
      Effect.repeat(Schedule.forever),
      Effect.forkScoped,
    );
    const isFresh = () => performance.now() - fetchedAt < timing.maxStaleMs;
    return { keys: () => (isFresh() ? remote : undefined) };
  });

/** Fails if the answer is not a JSON object of bounded size. */
const fetchBounded = async (address: string, options: RequestInit): Promise<Response> => {
  const response = await fetch(address, options);
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new KeySetUnusable(`the server answers with status ${response.status}`);
  }
  const pieces: Uint8Array[] = [];
  let size = 0;
  if (response.body === null) throw new KeySetUnusable("the server answers with nothing");
  const body: AsyncIterable<Uint8Array> = response.body;
  for await (const piece of body) {
    size += piece.length;
    if (size > maxKeySetBytes) throw new KeySetUnusable(tooLarge); // leaving the loop ends the download
    pieces.push(piece);
  }
  const text = Buffer.concat(pieces).toString("utf8");
  createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
  return new Response(text, { status: 200 });
};

const tooLarge = `the set of keys has more than ${maxKeySetBytes} bytes`;

const unusable = (cause: unknown): KeySetUnusable => {
  if (cause instanceof KeySetUnusable) return cause;
  if (cause instanceof SyntaxError) return new KeySetUnusable("it is no JSON");
  const { code, cause: inner, name } = cause as NodeJS.ErrnoException & { readonly cause?: NodeJS.ErrnoException };
  if (code?.startsWith("ERR_JWKS_INVALID")) return new KeySetUnusable("it is no JSON Web Key Set");
  return new KeySetUnusable(`it cannot be read (${code ?? inner?.code ?? name})`);
};
