import { protocolError } from "./errors.ts";
import { EventStream, type StreamReader, type StreamSource } from "./event-stream.ts";
import type { PreloadModelsResponse } from "./gen/mlxd/v1/model_service_pb.ts";
import { type PreparationReport, reportFromWire } from "./preparation.ts";

/** What came of one of the models that were to be loaded. */
export interface PreloadedModel {
  /** Its place in the list, from 0. */
  readonly index: number;
  /** Its name, as it was asked for. */
  readonly model: string;
  /** How it went; of a name that no model has it says so. */
  readonly report: PreparationReport;
}

/**
 * The models of one preload, each as it is loaded or has failed, in the order in which they were asked for. To leave it
 * is to end it on the server; what is loaded by then stays.
 */
export class PreloadStream extends EventStream<PreloadModelsResponse, PreloadedModel> {
  readonly #reader: PreloadReader;

  /** For this package only: streams come from {@link MlxdClient.preloadModels}. */
  constructor(source: StreamSource<PreloadModelsResponse>, count: number) {
    const reader = new PreloadReader(count);
    super(source, reader);
    this.#reader = reader;
  }

  /** Reads what is left and returns what came of all models. */
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
    if (!report) throw protocolError(`of model ${index} there is no report`);
    const preloaded = { index, model, report: reportFromWire(report) };
    this.models.push(preloaded);
    return preloaded;
  };

  readonly end = (): void => {
    const { length } = this.models;
    if (length !== this.#count) throw protocolError(`the preload ended after ${length} of ${this.#count} models`);
  };
}
