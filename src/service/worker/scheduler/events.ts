/** The events of sequences, collected during a step and sent in one message. */
import type { SequenceEvent } from "../protocol/sequence-events.ts";

export class StepEvents {
  private events: SequenceEvent[] = [];

  get isEmpty(): boolean {
    return this.events.length === 0;
  }

  add(event: SequenceEvent): void {
    this.events.push(event);
  }

  /** Returns the collected events and starts an empty list. */
  take(): ReadonlyArray<SequenceEvent> {
    const { events } = this;
    this.events = [];
    return events;
  }
}
