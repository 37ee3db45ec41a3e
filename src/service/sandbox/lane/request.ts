/** Decodes and validates requests that would keep the service's main thread busy for too long. */
import type { NamedRequest, ReadRequest } from "../../wire/read-request.ts";

export const readRequest = async (request: NamedRequest): Promise<ReadRequest> =>
  // Imported on demand: most jobs do not need it, and start faster without it.
  (await import("../../wire/read-request.ts")).readRequest(request);
