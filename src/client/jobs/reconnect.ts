import type { CallOptions } from "../call.ts";
import type { Clock } from "../clock.ts";
import { isMlxdError } from "../errors.ts";
import { normalizeTimeoutMs } from "../timeouts.ts";

/** A stream that can be taken up again after any of its events. */
export interface Resumable<Event> {
  /** Opens it after a place, of which the first is 0 events from the beginning. */
  readonly open: (after: number, signal: AbortSignal) => AsyncIterable<Event>;
  /** The place after an event. */
  readonly placeOf: (event: Event) => number;
  /** Where to begin. */
  readonly after: number;
}

/** The first wait before another attempt, and the longest one, in milliseconds. */
const firstWaitMs = 200;
const longestWaitMs = 5_000;
/** Attempts in a row that bring nothing, after which the last error is the reader's: some ten minutes. */
const mostAttempts = 120;

/** All events of a stream, over as many connections as it takes. */
export async function* readOn<Event>(
  { open, placeOf, after }: Resumable<Event>,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Event, void, undefined> {
  let place = after;
  for (let failures = 0; ;) {
    try {
      for await (const event of open(place, signal)) {
        place = placeOf(event);
        failures = 0;
        yield event;
      }
      return;
    } catch (error) {
      failures += 1;
      if (signal.aborted || !isPassing(error) || failures >= mostAttempts) throw error;
    }
    const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failures - 1, 10));
    await clock.sleep(waitMs * (0.8 + 0.4 * clock.random()), signal);
  }
}

/** Whether the connection or the service went away: with it nothing of the job is lost. */
const isPassing = (error: unknown): boolean =>
  isMlxdError(error) &&
  (error.code === "UNAVAILABLE" || error.reason === "SHUT_DOWN" || error.reason === "CLIENT_STALLED");

/** Options for each connection of a stream. `timeoutMs` applies to the stream as a whole; by default there is none. */
export const connectionOptions = ({ timeoutMs, ...call }: CallOptions, clock: Clock) => {
  const wholeMs = normalizeTimeoutMs(timeoutMs);
  const began = clock.now();
  return (signal: AbortSignal): CallOptions => ({
    ...call,
    signal,
    timeoutMs: wholeMs === undefined ? 0 : Math.max(1, wholeMs - (clock.now() - began)),
  });
};
