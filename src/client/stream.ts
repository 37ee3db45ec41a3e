import { GenerationAssembler } from "./assemble-generation.ts";
import { EventStream, type StreamSource } from "./event-stream.ts";
import type { GenerationEvent } from "./events.ts";
import type { StreamGenerateResponse } from "./gen/mlxd/v1/generation_service_pb.ts";
import type { GenerationResult } from "./results.ts";

/**
 * The events of one generation: `started` when it is admitted, any number of `chunk`, then `finished`.
 *
 * Leaving it (`break`, `return`, an error in the loop, `cancel()`, `await using`) ends it on the server.
 */
export class GenerationStream extends EventStream<StreamGenerateResponse, GenerationEvent> {
  readonly #assembler: GenerationAssembler;

  /** For this package only: streams come from {@link MlxdClient.stream}. */
  constructor(source: StreamSource<StreamGenerateResponse>, candidateCount: number) {
    const assembler = new GenerationAssembler(candidateCount);
    super(source, assembler);
    this.#assembler = assembler;
  }

  /** The id of the generation; undefined until its first event has been read. */
  get generationId(): string | undefined {
    return this.#assembler.started?.generationId;
  }

  /** The text of the first candidate, piece by piece as it arrives; no piece is empty. Leaving it leaves the stream. */
  textDeltas(): AsyncIterableIterator<string, undefined> {
    return new TextDeltas(this);
  }

  /** Reads the rest of the stream and returns the whole result, the same as `generate` would have returned. */
  async collect(): Promise<GenerationResult> {
    await this.drain();
    return this.#assembler.result();
  }
}

/** Not a generator: a generator cannot be left while it waits for its next value. */
class TextDeltas implements AsyncIterableIterator<string, undefined> {
  readonly #stream: GenerationStream;

  constructor(stream: GenerationStream) {
    this.#stream = stream;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<string, undefined>> {
    for (;;) {
      const { done, value } = await this.#stream.next();
      if (done) return { done, value: undefined };
      if (value.type === "chunk" && value.candidateIndex === 0 && value.text !== "") {
        return { done: false, value: value.text };
      }
    }
  }

  async return(): Promise<IteratorResult<string, undefined>> {
    await this.#stream.return();
    return { done: true, value: undefined };
  }

  async throw(error?: unknown): Promise<IteratorResult<string, undefined>> {
    await this.return();
    throw error;
  }
}
