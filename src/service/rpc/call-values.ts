/** Values that the listener passes to the handlers of a call, besides its headers. */
import { createContextKey } from "@connectrpc/connect";

import type { Evidence } from "../access/Tenants.ts";
import type { Caller } from "../domain/Caller.ts";
import type { RequestBytes } from "../wire/read-request.ts";

/**
 * When the call was received, in milliseconds of performance.now(), and how long its caller will wait, in milliseconds.
 * The listener takes the deadline out of the headers so that the service ends the call and not Connect: the service can
 * report how far a generation has come.
 */
export interface CallDeadline {
  readonly receivedAt: number;
  readonly timeoutMs: number | undefined;
}

export const callDeadline = createContextKey<CallDeadline | undefined>(undefined, {
  description: "the caller's deadline",
});

/** Identifies the call in logs, errors and the response header `x-request-id`. */
export const requestId = createContextKey<string | undefined>(undefined, { description: "the call's id" });

/** The caller, as authenticated by the request gate. */
export const callerOf = createContextKey<Caller | undefined>(undefined, { description: "who calls" });

/** The credentials that the call presents. */
export const evidenceOf = createContextKey<Evidence>(
  { authorization: undefined, certificateNames: [], peer: "" },
  { description: "what says who calls" },
);

/** The model, models or entry of the catalog that the request names, for the audit: in one line, of bounded length. */
export const targetOf = createContextKey<string | undefined>(undefined, { description: "what the call is about" });

/** Announces response headers to the listener before there is a response. */
export const announceHeader = createContextKey<(header: Headers) => void>(() => {}, {
  description: "receives the response's headers",
});

/** Resets the call's HTTP stream immediately, for a reader to whom no status can be delivered any more. */
export const resetStream = createContextKey<() => void>(() => {}, { description: "resets the HTTP stream" });

/** A request that is too heavy to be decoded on the main thread; the handler gets an empty one instead. */
export const heldRequest = createContextKey<RequestBytes | undefined>(undefined, {
  description: "the request's bytes",
});
