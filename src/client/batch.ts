import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { checkList, checkObject, checkText } from "./check.ts";
import { errorFromStatus } from "./decode-error.ts";
import { type MlxdError, protocolError } from "./errors.ts";
import { EventStream, type StreamReader, type StreamSource } from "./event-stream.ts";
import {
  type BatchGenerateResponse,
  type BatchItem as BatchItemMessage,
  BatchItemSchema,
  type BatchItemResult as BatchItemResultMessage,
  type BatchSummary as BatchSummaryMessage,
  BatchSummarySchema,
} from "./gen/mlxd/v1/generation_service_pb.ts";
import type { GenerationParameters } from "./parameters.ts";
import type { NameOf } from "./option-names.ts";
import { type Plain, toPlain } from "./plain.ts";
import { type GenerationResult, resultFromWire } from "./results.ts";
import { createTask, type GenerationInput } from "./task.ts";

/** A task of a batch. */
export interface BatchItem extends GenerationParameters {
  /**
   * The caller's id for it, at most 128 bytes, distinct within the batch.
   * @default the item's index
   */
  readonly itemId?: string | undefined;
  /** What to continue. */
  readonly input: GenerationInput;
}

/** How to run a batch. */
export interface BatchOptions {
  /**
   * Run the items at once, as far as the engine's slots allow; otherwise one after another.
   * @default false
   */
  readonly parallel?: boolean | undefined;
  /**
   * The most items that run at once in a parallel batch; 1 to 100.
   * @default all of them
   */
  readonly maxParallel?: number | undefined;
  /**
   * Run the items of one model before those of the next, so that each model is loaded only once if they do not fit into
   * memory together.
   * @default false
   */
  readonly groupByModel?: boolean | undefined;
}

/** An event of a batch: an `item` for each, in the order in which they finish, then the `summary`. */
export type BatchEvent = BatchItemEvent | BatchSummaryEvent;

/** An item has ended, with a result or an error. */
export type BatchItemEvent = {
  readonly type: "item";
  /** The caller's id for it, or its index. */
  readonly itemId: string;
  /** Its index in the batch, from 0. */
  readonly index: number;
  /** The id of its model, or the requested name if there is no such model. Empty from a service older than this client. */
  readonly model: string;
  /** From its start in the batch to its end, in milliseconds; undefined from a service older than this client. */
  readonly processingTimeMs?: number | undefined;
} & (
  | { readonly result: GenerationResult; readonly error?: undefined }
  | { readonly error: MlxdError; readonly result?: undefined }
);

/** The batch has ended. */
export interface BatchSummaryEvent extends BatchSummary {
  readonly type: "summary";
}

/** How many items succeeded and failed, the tokens that the successful ones used, and how long the batch took. */
export type BatchSummary = Plain<BatchSummaryMessage>;

/** The result of a whole batch. */
export interface BatchResult {
  /** The outcome of each item, in the order of the request. */
  readonly items: readonly BatchItemEvent[];
  /** The totals. */
  readonly summary: BatchSummary;
}

/** The items to send. */
export const createBatchItems = (items: readonly BatchItem[], defaultModel = ""): BatchItemMessage[] =>
  checkList(items, "items").map((item, index) => {
    const place = `items[${index}]`;
    const { itemId = "", input, ...parameters } = checkObject(item, place) as unknown as BatchItem; // checked below
    return create(BatchItemSchema, {
      itemId: checkText(itemId, `${place}.itemId`),
      task: createTask(input, parameters, defaultModel, place),
    });
  });

/**
 * The events of a batch: each item's result or error as it finishes, then a summary. An item that fails does not affect the
 * others. Leaving the stream ends the batch on the server.
 */
export class BatchStream extends EventStream<BatchGenerateResponse, BatchEvent> {
  readonly #reader: BatchReader;

  /** For this package only: streams come from {@link MlxdClient.batch}. */
  constructor(source: StreamSource<BatchGenerateResponse>, names: readonly NameOf[]) {
    const reader = new BatchReader(names);
    super(source, reader);
    this.#reader = reader;
  }

  /** Reads the rest of the stream and returns the outcome of every item, in the order of the request. */
  async collect(): Promise<BatchResult> {
    await this.drain();
    return this.#reader.result();
  }
}

class BatchReader implements StreamReader<BatchGenerateResponse, BatchEvent> {
  /** For each item: converts the service's field paths to the names in the item. */
  readonly #names: readonly NameOf[];
  readonly #items: (BatchItemEvent | undefined)[];
  #summary: BatchSummary | undefined;

  constructor(names: readonly NameOf[]) {
    this.#names = names;
    this.#items = names.map(() => undefined);
  }

  readonly accept = ({ event }: BatchGenerateResponse): BatchEvent | undefined => {
    if (this.#summary) throw protocolError("an event came after the batch's summary");
    switch (event.case) {
      case "item": {
        const item = itemFromWire(event.value, this.#names[event.value.index]);
        if (item.index >= this.#items.length || this.#items[item.index]) {
          throw protocolError(`item ${item.index} came twice, or is not of this batch`);
        }
        return (this.#items[item.index] = item);
      }
      case "summary":
        this.#summary = toPlain(BatchSummarySchema, event.value);
        return { type: "summary", ...this.#summary };
      case undefined: // a kind of event that is newer than this client
        return undefined;
    }
  };

  readonly end = (): void => void this.result();

  result(): BatchResult {
    const items = this.#items.filter((item) => item !== undefined);
    if (!this.#summary || items.length < this.#items.length) {
      throw protocolError(`the batch ended with ${items.length} of ${this.#items.length} items`);
    }
    return { items, summary: this.#summary };
  }
}

const itemFromWire = (
  { itemId, index, model, processingTime, outcome }: BatchItemResultMessage,
  nameOf?: NameOf,
): BatchItemEvent => {
  const processingTimeMs = processingTime && durationMs(processingTime);
  const item = { type: "item" as const, itemId, index, model, ...(processingTime && { processingTimeMs }) };
  switch (outcome.case) {
    case "result":
      return { ...item, result: resultFromWire(outcome.value) };
    case "error":
      return { ...item, error: errorFromStatus(outcome.value, nameOf) };
    case undefined:
      throw protocolError(`item ${index} has neither a result nor an error`);
  }
};
