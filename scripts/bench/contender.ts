/** What is measured: a server that streams completions. */

export interface Request {
  /** As many tokens as characters: digits are tokens of their own. */
  readonly prompt: string;
  readonly maxTokens: number;
  /** A JSON Schema that the output is held to; only for mlxd. */
  readonly schema?: Readonly<Record<string, unknown>>;
  /** Leaves the request. */
  readonly signal?: AbortSignal;
}

export interface RunningServer {
  /** Streams a completion; `onText` is called for each piece of text. Returns how many tokens the server counted. */
  readonly complete: (request: Request, onText: () => void) => Promise<number>;
  /** All its processes. */
  readonly pids: () => ReadonlyArray<number>;
  readonly stop: () => Promise<void>;
}

export interface Contender {
  /** Ready when it answers. */
  readonly start: (model: string) => Promise<RunningServer>;
}

/** What both sides may keep of prompts that were computed: memory is compared, so it has to be the same. */
export const prefixCacheBytes = 128 * 1024 * 1024;
