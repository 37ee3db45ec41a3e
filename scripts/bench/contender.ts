/** What is measured: a server that streams completions. */
import type { BenchModel } from "./bench-model.ts";
import type { Kernels } from "./math-environment.ts";

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

export interface StartOptions {
  /** Bytes of computed prompts that it may keep; undefined: its own default. */
  readonly promptCacheBytes?: number;
  readonly kernels?: Kernels;
}

export interface Contender {
  /** Ready when it answers. */
  readonly start: (model: BenchModel, options?: StartOptions) => Promise<RunningServer>;
}
