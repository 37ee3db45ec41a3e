import { type Attempt, Call, type CallContext, type CallOptions, callUnary, checkCallOptions } from "./call.ts";
import { checkFunctions, checkObject, checkText } from "./check.ts";
import type { ClientOptions } from "./client-options.ts";
import { type Clock, systemClock } from "./clock.ts";
import { CredentialStore } from "./credentials.ts";
import type { StreamSource } from "./event-stream.ts";
import type { GenerationOptions } from "./generation-options.ts";
import { type NameOf, taskOptionNames } from "./option-names.ts";
import { createRetryPolicy, RetryBudget } from "./retry.ts";
import { createTask, type GenerationInput } from "./task.ts";
import { normalizeTimeoutMs } from "./timeouts.ts";

/** What the methods of one client have in common: its defaults, its retries and the calls under way. */
export class Caller {
  /** The model of calls that name none; empty for the service's. */
  readonly model: string;
  /** Time and chance. */
  readonly clock: Clock;
  /** Who calls. */
  readonly credentials: CredentialStore | undefined;
  readonly #context: CallContext;
  readonly #timeoutMs: number | undefined;

  constructor({ credentials, defaultModel = "", timeoutMs, retry, clock = systemClock }: ClientOptions) {
    checkFunctions(clock, "clock", ["now", "sleep", "random"]);
    this.clock = clock;
    this.credentials = credentials === undefined ? undefined : new CredentialStore(credentials, clock);
    this.#context = {
      clock,
      policy: createRetryPolicy(retry),
      budget: new RetryBudget(),
      running: new Set(),
      credentials: this.credentials,
    };
    this.#timeoutMs = normalizeTimeoutMs(timeoutMs);
    this.model = checkText(defaultModel, "defaultModel");
  }

  /** Makes a unary call. */
  unary<T>(options: CallOptions, attempt: Attempt<T>, nameOf?: NameOf): Promise<T> {
    return callUnary(this.#context, checkCallOptions(checkOptions(options), this.#timeoutMs, nameOf), attempt);
  }

  /** Where a stream is to come from: checked now, called when its first event is asked for. */
  source<T>(options: CallOptions, open: StreamSource<T>["open"], nameOf?: NameOf): StreamSource<T> {
    const checked = checkCallOptions(options, this.#timeoutMs, nameOf);
    return { begin: () => new Call(this.#context, checked), open };
  }

  /** The task of these arguments, and how its fields are called in them. */
  task(input: GenerationInput, options: GenerationOptions) {
    const { signal, timeoutMs, headers, ...parameters } = checkOptions(options);
    return {
      task: createTask(input, parameters, this.model),
      call: { signal, timeoutMs, headers },
      nameOf: taskOptionNames(input, parameters),
    };
  }

  /** Ends the calls under way. */
  cancelAll(reason: unknown): void {
    for (const call of this.#context.running) call.cancel(reason);
  }
}

/** Options that are an object, as they were given. */
export const checkOptions = <Options extends object>(options: Options): Options => {
  checkObject(options, "options");
  return options;
};
