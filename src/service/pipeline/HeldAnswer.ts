/** The events of an answer that may still be given up for another one. */
import type { GenerationEvent, GenerationStarted } from "../domain/generation-result.ts";

/** Takes an event, and when it came: milliseconds of domain/elapsed.ts. */
export type Emit = (event: GenerationEvent, at: number) => void;

export class HeldAnswer {
  /** Whether it is the answer. From then on events pass as they come. */
  isReleased = false;
  private readonly begin: (started: GenerationStarted) => GenerationStarted;
  private readonly streams: boolean;
  private readonly emit: Emit;
  private readonly held: { readonly event: GenerationEvent; readonly at: number }[] = [];

  /**
   * @param begin what its start tells beside itself
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
