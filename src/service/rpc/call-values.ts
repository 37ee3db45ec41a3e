/** What the listener tells the handlers of a call, beside its headers. */
import { createContextKey } from "@connectrpc/connect";

import type { Evidence } from "../access/Tenants.ts";
import type { Caller } from "../domain/Caller.ts";
import type { RequestBytes } from "../wire/read-request.ts";

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

/** Names the call in the log, in its errors and in the response header `x-request-id`. */
export const requestId = createContextKey<string | undefined>(undefined, { description: "the call's id" });

/** Who calls: the gate says so. */
export const callerOf = createContextKey<Caller | undefined>(undefined, { description: "who calls" });

/** What the call shows of who makes it. */
export const evidenceOf = createContextKey<Evidence>(
  { authorization: undefined, certificateNames: [], peer: "" },
  { description: "what says who calls" },
);

/** The model or models that the request names, for the audit: in one line, of bounded length. */
export const targetOf = createContextKey<string | undefined>(undefined, { description: "what the call is about" });

/** Tells the listener which headers the response will have, before there is one. */
export const announceHeader = createContextKey<(header: Headers) => void>(() => {}, {
  description: "receives the response's headers",
});

/** Ends the call's HTTP stream at once, for a reader to whom no status can be delivered any more. */
export const resetStream = createContextKey<() => void>(() => {}, { description: "resets the HTTP stream" });

/** A request that is too heavy to be read on the service's own thread; the handler is given an empty one in its place. */
export const heldRequest = createContextKey<RequestBytes | undefined>(undefined, {
  description: "the request's bytes",
});
