// A Cloudflare worker that hands a page the answer as it is generated, piece by piece and without holding any of it. A page
// that leaves ends the generation. The service's address is the variable MLXD_URL, its key the secret MLXD_KEY.
import { createMlxdClient } from "../src/client/web.ts";

interface Environment {
  readonly MLXD_URL: string;
  readonly MLXD_KEY?: string;
}

export default {
  fetch: async (request: Request, { MLXD_URL, MLXD_KEY }: Environment): Promise<Response> => {
    const client = createMlxdClient({ baseUrl: MLXD_URL, credentials: MLXD_KEY });
    const question = new URL(request.url).searchParams.get("q") ?? "What is 2+2?";
    const deltas = client.stream(question).textDeltas();
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const { done, value } = await deltas.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      cancel: async () => void (await deltas.return?.()),
    });
    return new Response(body, { headers: { "content-type": "text/plain; charset=utf-8" } });
  },
};
