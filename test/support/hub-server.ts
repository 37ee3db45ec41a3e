/** A model hub on free ports: the hub's own routes over real HTTP, with large files on a second server as its CDN. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What happens to one request for a file's content. */
export interface FileFault {
  /** The connection is cut after this many bytes. */
  readonly cutAfter?: number;
  /** Nothing more comes after `cutAfter` bytes, and the connection stays. */
  readonly hang?: boolean;
  /** The content is another one of the same length. */
  readonly isWrong?: boolean;
  /** Before the content. */
  readonly delayMs?: number;
  /** The range is ignored: the whole file comes, with status 200. */
  readonly ignoreRange?: boolean;
}

/** An answer in place of the one that was asked for. */
interface Refusal {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface HubRequestSeen {
  readonly server: "hub" | "cdn";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export interface HubScript {
  /** By `organisation/name`, then by path. */
  readonly repositories: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;
  /** Asked before each request to the hub. */
  readonly refuse?: (request: HubRequestSeen) => Refusal | undefined;
  /** Asked for each answer with a file's content; `count` counts from 0 for each path. */
  readonly fault?: (path: string, count: number) => FileFault | undefined;
  /** Larger files are kept at the CDN and have a sha256. */
  readonly lfsFrom?: number;
}

export interface HubServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: ReadonlyArray<HubRequestSeen>;
  /** The most contents that were on their way at once. */
  readonly mostAtOnce: () => number;
}

export const hubCommit = "0123456789abcdef0123456789abcdef01234567";

export const startHubServer = async (script: HubScript): Promise<HubServer> => {
  const { repositories, refuse = () => undefined, fault = () => undefined, lfsFrom = 10_000 } = script;
  const requests: HubRequestSeen[] = [];
  const counts = new Map<string, number>();
  const atOnce = { now: 0, most: 0 };

  const seen = (server: "hub" | "cdn", { url = "", headers }: IncomingMessage): HubRequestSeen => {
    const request = { server, path: url, range: headers.range, authorization: headers.authorization };
    requests.push(request);
    return request;
  };
  const sendContent = (request: IncomingMessage, response: ServerResponse, path: string, content: Uint8Array) => {
    const count = counts.get(path) ?? 0;
    counts.set(path, count + 1);
    atOnce.now += 1;
    atOnce.most = Math.max(atOnce.most, atOnce.now);
    response.once("close", () => (atOnce.now -= 1));
    sendFile(request, response, content, fault(path, count) ?? {});
  };

  const cdn = createServer((request, response) => {
    seen("cdn", request);
    const [, repository = "", path = ""] = /^\/(.+)\/content\/(.+)$/.exec(request.url ?? "") ?? [];
    sendContent(request, response, path, repositories[repository]?.[path] ?? Buffer.alloc(0));
  });
  const cdnUrl = await listen(cdn);

  const hub = createServer((request, response) => {
    const refused = refuse(seen("hub", request));
    if (refused !== undefined) return end(response, refused.status, refused.body ?? "", refused.headers);
    const { pathname, searchParams } = new URL(request.url ?? "", "http://hub");
    if (pathname === "/api/models") {
      const start = `${searchParams.get("author") ?? ""}/`;
      const words = searchParams.get("search") ?? "";
      const found = Object.keys(repositories).filter((id) => (words ? id.includes(words) : id.startsWith(start)));
      return json(response, found.map(infoOf));
    }
    const route =
      /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(pathname) ??
      /^\/([^/]+\/[^/]+)\/(resolve)\/([^/]+)\/(.+)$/.exec(pathname);
    const [, repository = "", what = "", revision = "", path = ""] = route ?? [];
    const files = repositories[repository];
    if (files === undefined) return end(response, 404, "{}", { "x-error-code": "RepoNotFound" });
    if (revision !== "main" && revision !== hubCommit) {
      return end(response, 404, "{}", { "x-error-code": "RevisionNotFound" });
    }
    if (what === "revision") return json(response, infoOf(repository));
    if (what === "tree") return json(response, Object.entries(files).map(entryOf(lfsFrom)));
    const content = files[path];
    if (content === undefined) return end(response, 404, "", { "x-error-code": "EntryNotFound" });
    const etag = `"${entryOf(lfsFrom)([path, content]).oid}"`;
    if (content.length < lfsFrom) {
      response.setHeader("etag", etag);
      return sendContent(request, response, path, content);
    }
    const linked = { "x-linked-etag": `"${sha256(content)}"`, "x-linked-size": String(content.length) };
    return end(response, 302, "", { ...linked, location: `${cdnUrl}/${repository}/content/${path}` });
  });
  const url = await listen(hub);
  return {
    url,
    requests,
    mostAtOnce: () => atOnce.most,
    [Symbol.asyncDispose]: async () => {
      for (const server of [hub, cdn]) {
        const closed = once(server, "close");
        server.close();
        server.closeAllConnections();
        await closed;
      }
    },
  };
};

const infoOf = (id: string) => ({
  _id: "1",
  id,
  sha: hubCommit,
  private: false,
  gated: false,
  likes: 0,
  downloads: 0,
  lastModified: "2026-01-01T00:00:00.000Z",
});

const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
const gitBlob = (content: Uint8Array): string =>
  createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");

const entryOf =
  (lfsFrom: number) =>
  ([path, content]: [string, Uint8Array]) => ({
    type: path.endsWith("/") ? "directory" : "file",
    path,
    size: content.length,
    oid: gitBlob(content),
    ...(content.length >= lfsFrom && { lfs: { oid: sha256(content), size: content.length, pointerSize: 134 } }),
  });

const sendFile = (
  { headers }: IncomingMessage,
  response: ServerResponse,
  content: Uint8Array,
  { cutAfter = Infinity, hang = false, isWrong = false, ignoreRange = false, delayMs = 0 }: FileFault,
): void => {
  const asked = /^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1];
  const from = asked === undefined || ignoreRange ? 0 : Number(asked);
  const part = isWrong ? content.slice(from).map((byte) => byte ^ 1) : content.subarray(from);
  const isPart = asked !== undefined && !ignoreRange;
  response.writeHead(isPart ? 206 : 200, {
    "content-length": part.length,
    "accept-ranges": "bytes",
    ...(isPart && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
  });
  if (cutAfter >= part.length) return void setTimeout(() => response.end(part), delayMs);
  response.write(part.subarray(0, cutAfter), () => {
    // What is cut at once may be lost on the way, and how much of it is then chance.
    if (!hang) setTimeout(() => response.destroy(), 20);
  });
};

const end = (response: ServerResponse, status: number, body: string, headers: Refusal["headers"] = {}): void => {
  response.writeHead(status, { ...headers }).end(body);
};

const json = (response: ServerResponse, value: unknown): void =>
  end(response, 200, JSON.stringify(value), { "content-type": "application/json" });

const listen = async (server: Server): Promise<string> => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};
