// A route handler as Next.js and others take it: app/api/answer/route.ts. It answers POST with server-sent events, one for each
// piece of text, and ends the generation when the caller leaves.
import { createMlxdClient, isMlxdError, optionsOfIncoming } from "../src/client/web.ts";

const client = createMlxdClient({ baseUrl: "http://127.0.0.1:50051" });

export const POST = async (request: Request): Promise<Response> => {
  const { question } = (await request.json()) as { readonly question?: unknown };
  if (typeof question !== "string") return Response.json({ error: "question: it is no text" }, { status: 400 });
  const { signal, timeoutMs } = optionsOfIncoming(request);
  const stream = client.stream(question, { signal, timeoutMs });
  try {
    await stream.next(); // what fails before the model begins is an answer of its own
  } catch (error) {
    if (!isMlxdError(error)) throw error;
    return Response.json({ error: error.message, reason: error.reason }, { status: 502 });
  }
  const deltas = stream.textDeltas();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await deltas.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(`data: ${JSON.stringify(value)}\n\n`));
    },
    cancel: async () => void (await stream.return()),
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
};
