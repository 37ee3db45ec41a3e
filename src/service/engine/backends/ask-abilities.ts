/** Asks a server what one of its models can do, where servers of its kind tell. */
import { Effect } from "effect";
import { request } from "undici";

import type { BackendSettings } from "../../config/read-backends.ts";
import type { BackendEngine } from "../../domain/backend-presets.ts";
import type { ConversationOption } from "../../domain/conversation-options.ts";
import type { ServedModel } from "../../domain/model.ts";
import { apiHeaders } from "./api-headers.ts";
import { asObject, type Members, parseChunk } from "./chunk-values.ts";
import { connectionsTo } from "./connections.ts";
import { shortText } from "./response-body.ts";

type Unsupported = ReadonlyArray<ConversationOption>;

interface Question {
  /** Below the URL of its API, or, with a slash, of its server. */
  readonly path: string;
  readonly body?: object;
  readonly read: (answer: Members) => Unsupported;
}

/**
 * The options that the model does not support although its engine's preset has them. If the server does not answer, only
 * images count as unsupported, unless the model is known to take them: some servers drop images silently, while other
 * options are refused when they are used.
 */
export const askAbilities = (
  { source, capabilities }: Pick<ServedModel, "source" | "capabilities">,
  backend: BackendSettings,
): Effect.Effect<Unsupported> => {
  const question = questions[backend.engine]?.(source);
  if (question === undefined) return Effect.succeed([]);
  const unknown: Unsupported = capabilities.vision ? [] : images;
  return ask(question, backend).pipe(
    Effect.timeoutOption(longestMs),
    Effect.map((told) => (told._tag === "Some" ? told.value : unknown)),
    Effect.orElseSucceed(() => unknown),
  );
};

const longestMs = 2_000;
/** Ollama tells the model's licence, twice, and its tensors before what it can do. */
const longestBytes = 1024 ** 2;

const ask = ({ path, body, read }: Question, backend: BackendSettings): Effect.Effect<Unsupported, unknown> =>
  Effect.scoped(
    Effect.flatMap(connectionsTo(backend), (dispatcher) =>
      Effect.tryPromise(async (signal) => {
        const base = path.startsWith("/") ? backend.baseUrl.replace(/\/v1$/, "") : `${backend.baseUrl}/`;
        const response = await request(`${base}${path}`, {
          dispatcher,
          method: body === undefined ? "GET" : "POST",
          headers: { ...apiHeaders(backend), "content-type": "application/json" },
          ...(body !== undefined && { body: JSON.stringify(body) }),
          signal,
        });
        response.body.on("error", () => {});
        if (response.statusCode !== 200) throw new Error(`HTTP ${response.statusCode}`);
        return read(parseChunk(await shortText(response.body, longestBytes)));
      }),
    ),
  );

const images: Unsupported = ["chat.images", "chat.image_urls"];

/** Those of the options that are not among what is told; a list that is none tells nothing. */
const without = (told: unknown, options: Readonly<Record<string, Unsupported>>): Unsupported => {
  if (!Array.isArray(told)) throw new Error("nothing is told");
  return Object.entries(options).flatMap(([name, of]) => (told.includes(name) ? [] : of));
};

const questions: Partial<Record<BackendEngine, (model: string) => Question>> = {
  // https://github.com/ollama/ollama/blob/main/docs/api.md#show-model-information
  ollama: (model) => ({
    path: "/api/show",
    body: { model },
    read: ({ capabilities }) =>
      without(capabilities, {
        vision: images,
        tools: ["chat.tools", "chat.tool_choice"],
        thinking: ["reasoning.effort"],
      }),
  }),
  // https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md#get-props-get-server-global-properties
  llamacpp: () => ({
    path: "/props",
    read: ({ modalities }) => {
      const { vision } = asObject(modalities) ?? {};
      if (typeof vision !== "boolean") throw new Error("nothing is told");
      return vision ? [] : images;
    },
  }),
  // https://lmstudio.ai/docs/developer/rest/endpoints
  lmstudio: (model) => ({
    path: `/api/v0/models/${encodeURIComponent(model)}`,
    read: ({ type }) => without([type], { vlm: images }),
  }),
  // https://openrouter.ai/docs/api-reference/list-endpoints-for-a-model
  openrouter: (model) => ({
    path: `models/${model.split("/").map(encodeURIComponent).join("/")}/endpoints`,
    read: ({ data }) => {
      const { architecture, endpoints } = asObject(data) ?? {};
      const parameters = (Array.isArray(endpoints) ? endpoints : []).flatMap(
        (endpoint) => asObject(endpoint)?.["supported_parameters"] ?? [],
      );
      if (parameters.length === 0) throw new Error("nothing is told");
      return [
        ...without(asObject(architecture)?.["input_modalities"], { image: images }),
        ...without(parameters, {
          temperature: ["sampling.temperature"],
          top_p: ["sampling.top_p"],
          top_k: ["sampling.top_k"],
          seed: ["sampling.seed"],
          presence_penalty: ["sampling.presence_penalty"],
          frequency_penalty: ["sampling.frequency_penalty"],
          stop: ["stop.stop_sequences"],
          tools: ["chat.tools"],
          tool_choice: ["chat.tool_choice"],
        }),
      ];
    },
  }),
};
