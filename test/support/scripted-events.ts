/** Messages of a generation's stream, as a well-behaved service sends them. */
import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import type {
  GenerationChunkSchema,
  GenerationFinishedSchema,
  GenerationStartedSchema,
} from "../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { FinishReason } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import type { WireEvent } from "./scripted-server.ts";

type Fields<Schema extends DescMessage> = Exclude<MessageInitShape<Schema>, Message>;

export const startedEvent = (fields: Fields<typeof GenerationStartedSchema> = {}): WireEvent => ({
  event: {
    case: "started",
    value: { generationId: "generation-1", model: "demo", modelRevision: "r1", promptTokens: 7, ...fields },
  },
});

export const chunkEvent = (
  text: string,
  outputTokens: number,
  fields: Fields<typeof GenerationChunkSchema> = {},
): WireEvent => ({ event: { case: "chunk", value: { text, outputTokens, ...fields } } });

export const finishedEvent = (
  outputTokens: number,
  fields: Fields<typeof GenerationFinishedSchema> = {},
): WireEvent => ({
  event: {
    case: "finished",
    value: { finishReason: FinishReason.END_OF_SEQUENCE, usage: { promptTokens: 7, outputTokens }, ...fields },
  },
});

/** The same events with sequence numbers from 0. */
export const numbered = (events: Iterable<WireEvent>): WireEvent[] =>
  Array.from(events, (event, sequence) => ({ ...event, sequence }));

/** A whole stream that says these pieces. */
export const saying = (...pieces: string[]): WireEvent[] =>
  numbered([
    startedEvent(),
    ...pieces.map((piece, index) => chunkEvent(piece, index + 1)),
    finishedEvent(pieces.length + 1),
  ]);
