/** Reading requests that are too heavy for the service's own thread. */
import type { NamedRequest, ReadRequest } from "../../wire/read-request.ts";

export const readRequest = async (request: NamedRequest): Promise<ReadRequest> =>
  // Not at the top: most jobs need none of it, and begin the sooner.
  (await import("../../wire/read-request.ts")).readRequest(request);
