/** Holds back the events of an answer that may still be replaced by that of another model. */
import type { GenerationEvent, GenerationStarted } from "../domain/generation-result.ts";

/** Takes an event and the time at which it came, in milliseconds of domain/elapsed.ts. */
export type Emit = (event: GenerationEvent, at: number) => void;

export class HeldAnswer {
  /** Whether this is the answer that the caller gets. From then on, events pass as they come. */
  isReleased = false;
  private readonly begin: (started: GenerationStarted) => GenerationStarted;
  private readonly streams: boolean;
  private readonly emit: Emit;
  private readonly held: { readonly event: GenerationEvent; readonly at: number }[] = [];

  /**
   * @param begin adds to the `started` event what the caller should know of earlier models
   * @param streams whether its first output releases it
   */
  constructor(begin: (started: GenerationStarted) => GenerationStarted, streams: boolean, emit: Emit) {
    this.begin = begin;
    this.streams = streams;
    this.emit = emit;
  }

  readonly onEvent: Emit = (event, at) => {
    if (this.isReleased) return this.send(event, at);
    this.held.push({ event, at });
    if (this.streams && event.type !== "started") this.release();
  };

  release(): void {
    this.isReleased = true;
    for (const { event, at } of this.held.splice(0)) this.send(event, at);
  }

  private send(event: GenerationEvent, at: number): void {
    this.emit(event.type === "started" ? this.begin(event) : event, at);
  }
}
