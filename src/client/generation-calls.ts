import type { CallOptions as ConnectCallOptions } from "@connectrpc/connect";
import { BatchStream, createBatchItems } from "./batch.ts";
import type { Attempt } from "./call.ts";
import { type Caller, checkOptions } from "./caller.ts";
import { checkFlag, checkList, checkText, checkWhole } from "./check.ts";
import type { CancelledState, MlxdClient, RawClients } from "./client.ts";
import { enumName } from "./enum-names.ts";
import { CancelGenerationResponse_StateSchema, type GenerateResponse } from "./gen/mlxd/v1/generation_service_pb.ts";
import { type NameOf, optionName, taskOptionNames } from "./option-names.ts";
import { resultFromWire } from "./results.ts";
import { GenerationStream } from "./stream.ts";

/** The calls of the GenerationService. */
export const createGenerationCalls = (
  caller: Caller,
  raw: RawClients["generation"],
): Pick<MlxdClient, "generate" | "stream" | "batch" | "cancel"> => ({
  generate: async (input, options = {}) => {
    const { task, call, nameOf } = caller.task(input, options);
    const attempt: Attempt<GenerateResponse> = (connect) => raw.generate({ task }, connect);
    const { result } = await caller.unary(call, attempt, nameOf);
    return resultFromWire(result);
  },

  stream: (input, options = {}) => {
    const { task, call, nameOf } = caller.task(input, options);
    const open = (connect: ConnectCallOptions) => raw.streamGenerate({ task }, connect);
    return new GenerationStream(caller.source(call, open, nameOf), task.sampling?.candidateCount ?? 1);
  },

  batch: (items, options = {}) => {
    const { parallel = false, maxParallel = 0, groupByModel = false, ...call } = checkOptions(options);
    const given = checkList(items, "items") as typeof items; // each is checked where it is read
    const request = {
      items: createBatchItems(given, caller.model),
      parallel: checkFlag(parallel, "parallel"),
      maxParallel: checkWhole(maxParallel, "maxParallel", 0, 100),
      groupByModel: checkFlag(groupByModel, "groupByModel"),
    };
    const open = (connect: ConnectCallOptions) => raw.batchGenerate(request, connect);
    const names = given.map((item, index) => taskOptionNames(item.input, item, `items[${index}]`));
    const nameOf: NameOf = (path) => (names[Number(/^items\[(\d+)\]/.exec(path)?.[1])] ?? optionName)(path);
    return new BatchStream(caller.source(call, open, nameOf), names);
  },

  cancel: async (generationId, options = {}) => {
    const request = { generationId: checkText(generationId, "generationId") };
    const { state } = await caller.unary(options, (connect) => raw.cancelGeneration(request, connect));
    return enumName(CancelGenerationResponse_StateSchema, state) as CancelledState; // the same names
  },
});
