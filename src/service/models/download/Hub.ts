/** The hub that models are published at, and servers that speak its API: one attempt of each request. */
import { listFiles, listModels, modelInfo } from "@huggingface/hub";
import { Redacted, Result, Schema } from "effect";

import type { DownloadSettings } from "../../config/DownloadConfig.ts";
import { versions } from "../../config/versions.ts";
import type { Checksum, RemoteFile } from "./choose-files.ts";
import { HubError, hubErrorFrom } from "./hub-error.ts";
import { checkRepository } from "../names/repository.ts";

interface RepositoryState {
  /** As the hub spells it. */
  readonly repository: string;
  /** Its files do not change under this id. */
  readonly commit: string;
}

/** All promises reject with a HubError, or as their signal says. */
export interface Hub {
  /** What a branch or tag means now. */
  readonly resolve: (repository: string, revision: string, signal: AbortSignal) => Promise<RepositoryState>;
  /** At the top of the repository; those in folders are left out. */
  readonly files: (state: RepositoryState, signal: AbortSignal) => Promise<ReadonlyArray<RemoteFile>>;
  /** The organisation's repositories, and those of others that hold this name: some of them, where there are many. */
  readonly similar: (repository: string, signal: AbortSignal) => Promise<ReadonlyArray<string>>;
  /** A file's content from a byte on: with status 206 where the hub keeps to that, or 200 and the whole of it. */
  readonly open: (state: RepositoryState, path: string, fromByte: number, signal: AbortSignal) => Promise<Response>;
}

export const createHub = ({ endpoint, token }: Pick<DownloadSettings, "endpoint" | "token">): Hub => {
  const fetchFor = (signal: AbortSignal) => createFetch(endpoint, token, signal);
  return {
    resolve: async (name, revision, signal) => {
      const options = { hubUrl: endpoint, fetch: fetchFor(signal), revision, additionalFields: ["sha" as const] };
      const info = decode(ModelInfo, await readable(signal, modelInfo({ name, ...options })));
      return { repository: info.name, commit: info.sha };
    },
    files: async ({ repository, commit }, signal) => {
      const options = { hubUrl: endpoint, fetch: fetchFor(signal), revision: commit };
      const entries = await readable(signal, collect(listFiles({ repo: repository, ...options })));
      return entries.flatMap((entry) => (isFile(entry) ? [remoteFile(entry)] : []));
    },
    similar: async (repository, signal) => {
      const [owner = "", query = ""] = repository.split("/");
      const options = { hubUrl: endpoint, fetch: fetchFor(signal), limit: maxSimilar };
      const searches = [{ owner }, { query }].map((search) => collect(listModels({ ...options, search })));
      const found = (await readable(signal, Promise.all(searches))).flat();
      return [...new Set(found.map(({ name }) => name))].filter(isRepository);
    },
    open: ({ repository, commit }, path, fromByte, signal) => {
      const headers: Record<string, string> = fromByte > 0 ? { range: `bytes=${fromByte}-` } : {};
      // Compressed, the bytes that are missing could not be told.
      headers["accept-encoding"] = "identity";
      return fetchFor(signal)(`${endpoint}/${repository}/resolve/${commit}/${encodeURIComponent(path)}`, { headers });
    },
  };
};

/** Fetches with the token where it belongs: pages and files may lie on other servers, which must not see it. */
const createFetch = (endpoint: string, token: DownloadSettings["token"], signal: AbortSignal): typeof fetch => {
  const { origin } = new URL(endpoint);
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    headers.set("user-agent", `mlxd/${versions.mlxd}`);
    if (token !== undefined && url.origin === origin) headers.set("authorization", `Bearer ${Redacted.value(token)}`);
    const response = await answered(signal, fetch(url, { ...init, headers, signal }));
    if (response.ok) return response;
    await response.body?.cancel();
    throw hubErrorFrom(response, Date.now());
  };
};

const answered = async <A>(signal: AbortSignal, response: Promise<A>): Promise<A> => {
  try {
    return await response;
  } catch (error) {
    signal.throwIfAborted();
    throw new HubError(`the hub cannot be reached (${reasonOf(error)})`);
  }
};

/** The client's own complaints about an answer come when something between it and the hub answered in its place. */
const readable = async <A>(signal: AbortSignal, answer: Promise<A>): Promise<A> => {
  try {
    return await answer;
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof HubError ? error : new HubError("what the hub answered cannot be read");
  }
};

/** The system's code, e.g. ECONNREFUSED: `fetch` hides it in the cause. */
const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : "the connection failed";
};

const maxSimilar = 200;
/** Far more than any model has. */
const maxEntries = 10_000;

const collect = async <A>(entries: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const all: A[] = [];
  for await (const entry of entries) {
    if (all.length >= maxEntries) throw new HubError(`the hub lists more than ${maxEntries} entries`, { status: 400 });
    all.push(entry);
  }
  return all;
};

const isRepository = (name: string): boolean => Result.isSuccess(checkRepository(name));
const hex = (length: number) => Schema.String.check(Schema.isPattern(new RegExp(`^[0-9a-f]{${length}}$`)));
const Size = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0));

const ModelInfo = Schema.Struct({
  name: Schema.String.check(Schema.makeFilter(isRepository)),
  sha: hex(40),
});

const FileEntry = Schema.Struct({
  type: Schema.Literal("file"),
  path: Schema.String,
  size: Size,
  oid: hex(40),
  lfs: Schema.optionalKey(Schema.Struct({ oid: hex(64), size: Size })),
});
const isFile = Schema.is(FileEntry);

const decode = <A>(schema: Schema.ConstraintDecoder<A>, value: unknown): A => {
  const decoded = Schema.decodeUnknownResult(schema)(value);
  if (Result.isSuccess(decoded)) return decoded.success;
  throw new HubError("what the hub answered is not a model's description");
};

const remoteFile = ({ path, size, oid, lfs }: typeof FileEntry.Type): RemoteFile => {
  const checksum: Checksum =
    lfs === undefined ? { algorithm: "git-blob-sha1", digest: oid } : { algorithm: "sha256", digest: lfs.oid };
  return { path, size: lfs?.size ?? size, checksum };
};
