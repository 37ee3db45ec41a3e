/** What the listener tells the handlers of a call, beside its headers. */
import { createContextKey } from "@connectrpc/connect";

/**
 * When the call was received and how long its caller will wait; both in milliseconds, the former of performance.now().
 * The listener takes it out of the headers, so that the one who ends a call at its deadline is the service, which
 * knows how far a generation had come, and not Connect, which does not.
 */
export interface CallDeadline {
  readonly receivedAt: number;
  readonly timeoutMs: number | undefined;
}

export const callDeadline = createContextKey<CallDeadline | undefined>(undefined, {
  description: "the caller's deadline",
});

/** Ends the call's HTTP stream at once, for a reader to whom no status can be delivered any more. */
export const resetStream = createContextKey<() => void>(() => {}, { description: "resets the HTTP stream" });
