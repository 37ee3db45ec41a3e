import { protocolError } from "./errors.ts";
import { EventStream, type StreamReader, type StreamSource } from "./event-stream.ts";
import type { PreloadModelsResponse } from "./gen/mlxd/v1/model_service_pb.ts";
import { type PreparationReport, reportFromWire } from "./preparation.ts";

/** The outcome of loading one model. */
export interface PreloadedModel {
  /** Its index in the list, from 0. */
  readonly index: number;
  /** Its name as it was requested. */
  readonly model: string;
  /** The report of its preparation. */
  readonly report: PreparationReport;
}

/**
 * The outcome of each model as it is loaded or has failed, in the order of the request. Leaving the stream ends the preload on
 * the server; models that are loaded by then stay.
 */
export class PreloadStream extends EventStream<PreloadModelsResponse, PreloadedModel> {
  readonly #reader: PreloadReader;

  /** For this package only: streams come from {@link MlxdClient.preloadModels}. */
  constructor(source: StreamSource<PreloadModelsResponse>, count: number) {
    const reader = new PreloadReader(count);
    super(source, reader);
    this.#reader = reader;
  }

  /** Reads the rest of the stream and returns the outcomes of all models. */
  async collect(): Promise<readonly PreloadedModel[]> {
    await this.drain();
    return this.#reader.models;
  }
}

class PreloadReader implements StreamReader<PreloadModelsResponse, PreloadedModel> {
  readonly models: PreloadedModel[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  readonly accept = ({ index, model, report }: PreloadModelsResponse): PreloadedModel => {
    if (index !== this.models.length) throw protocolError(`model ${index} came where ${this.models.length} was next`);
    if (!report) throw protocolError(`model ${index} has no report`);
    const preloaded = { index, model, report: reportFromWire(report) };
    this.models.push(preloaded);
    return preloaded;
  };

  readonly end = (): void => {
    const { length } = this.models;
    if (length !== this.#count) throw protocolError(`the preload ended after ${length} of ${this.#count} models`);
  };
}
