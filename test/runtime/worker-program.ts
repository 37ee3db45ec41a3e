/** What test/runtime/runtimes.test.ts bundles for workerd, and for a page: both have `fetch` and nothing of Node. */
import { createMlxdClient, defineTool, isMlxdError } from "@mlxd/client";
import { behave } from "./behaviour.ts";
import { behaveBehindFront } from "./front-behaviour.ts";

/** Of `?url=...&cancels=...`, or `?url=...&control=...`. */
const findings = (parameters: URLSearchParams): Promise<unknown> => {
  const [baseUrl, control] = [parameters.get("url") ?? "", parameters.get("control")];
  const entry = { defineTool, isMlxdError };
  return control === null
    ? behave(createMlxdClient({ baseUrl }), entry, Number(parameters.get("cancels")))
    : behaveBehindFront((credentials) => createMlxdClient({ baseUrl, credentials }), entry, control);
};

/** The handler of a worker. */
export default {
  fetch: async (request: Request): Promise<Response> => {
    return Response.json(await findings(new URL(request.url).searchParams));
  },
};

/** In a page: tells the page's own server what was found. */
const page = (globalThis as { readonly document?: unknown; readonly location?: { readonly search: string } }).location;
if ("document" in globalThis && page !== undefined) {
  void findings(new URLSearchParams(page.search))
    .then((found) => JSON.stringify(found), String)
    .then((body) => fetch("/findings", { method: "POST", body }));
}
