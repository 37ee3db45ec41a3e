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

/** What the methods of one client share: its defaults, its retries and its running calls. */
export class Caller {
  /** The model of calls that do not name one; empty for the service's default. */
  readonly model: string;
  /** Time and randomness. */
  readonly clock: Clock;
  /** The credentials of its calls. */
  readonly credentials: CredentialStore | undefined;
  readonly #context: CallContext;
  readonly #timeoutMs: number | undefined;
  #closings = 0;

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

  /** The source of a stream. The options are checked now, the call is made when the first event is requested. */
  source<T>(options: CallOptions, open: StreamSource<T>["open"], nameOf?: NameOf): StreamSource<T> {
    const checked = checkCallOptions(options, this.#timeoutMs, nameOf);
    return { begin: () => new Call(this.#context, checked), open };
  }

  /** The task of these arguments, and a function that converts its field paths to their names in the arguments. */
  task(input: GenerationInput, options: GenerationOptions) {
    const { signal, timeoutMs, headers, ...parameters } = checkOptions(options);
    return {
      task: createTask(input, parameters, this.model),
      call: { signal, timeoutMs, headers },
      nameOf: taskOptionNames(input, parameters),
    };
  }

  /** How often the client was closed. A stream that ended with it must make no further call, which would connect again. */
  get closings(): number {
    return this.#closings;
  }

  /** Cancels the running calls, because the client is closed. */
  cancelAll(reason: unknown): void {
    this.#closings += 1;
    for (const call of this.#context.running) call.cancel(reason);
  }
}

/** Checks that options are an object. */
export const checkOptions = <Options extends object>(options: Options): Options => {
  checkObject(options, "options");
  return options;
};
