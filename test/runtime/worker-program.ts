/** What test/runtime/runtimes.test.ts bundles for workerd, and for a page: both have `fetch` and nothing of Node. */
import { createMlxdClient, defineTool, isMlxdError } from "@mlxd/client";
import { behave } from "./behaviour.ts";

const findings = (baseUrl: string, cancels: number) =>
  behave(createMlxdClient({ baseUrl }), { defineTool, isMlxdError }, cancels);

/** The handler of a worker: `?url=...&cancels=...`. */
export default {
  fetch: async (request: Request): Promise<Response> => {
    const { searchParams } = new URL(request.url);
    return Response.json(await findings(searchParams.get("url") ?? "", Number(searchParams.get("cancels"))));
  },
};

/** In a page: tells the page's own server what was found. */
const page = (globalThis as { readonly document?: unknown; readonly location?: { readonly search: string } }).location;
if ("document" in globalThis && page !== undefined) {
  const parameters = new URLSearchParams(page.search);
  void findings(parameters.get("url") ?? "", Number(parameters.get("cancels")))
    .then((found) => JSON.stringify(found), String)
    .then((body) => fetch("/findings", { method: "POST", body }));
}
