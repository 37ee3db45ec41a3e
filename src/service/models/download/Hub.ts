/** A client of the hub and of servers with its API; each method makes one attempt. */
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
  /** The files at a commit never change. */
  readonly commit: string;
}

/** All promises reject with a HubError, or with the reason of their signal. */
export interface Hub {
  /** The commit that a branch or tag refers to now. */
  readonly resolve: (repository: string, revision: string, signal: AbortSignal) => Promise<RepositoryState>;
  /** The files at the top level of the repository; those in folders are left out. */
  readonly files: (state: RepositoryState, signal: AbortSignal) => Promise<ReadonlyArray<RemoteFile>>;
  /** Repositories of the organisation, and others whose names contain this one; not necessarily all. */
  readonly similar: (repository: string, signal: AbortSignal) => Promise<ReadonlyArray<string>>;
  /** Opens a file from a byte offset: status 206 if the hub supports ranges, otherwise 200 and the whole file. */
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
      // With compression, byte offsets of the content would be meaningless.
      headers["accept-encoding"] = "identity";
      return fetchFor(signal)(`${endpoint}/${repository}/resolve/${commit}/${encodeURIComponent(path)}`, { headers });
    },
  };
};

/** Adds the token to requests to the hub only: pages and files may be on other servers, which must not see it. */
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

/** The client library's own errors about an answer occur when a proxy or captive portal answers instead of the hub. */
const readable = async <A>(signal: AbortSignal, answer: Promise<A>): Promise<A> => {
  try {
    return await answer;
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof HubError ? error : new HubError("what the hub answered cannot be read");
  }
};

/** The system's code, e.g. ECONNREFUSED, which `fetch` hides in the cause. */
const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : "the connection failed";
};

const maxSimilar = 200;
/** Far more files than any model has. */
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
