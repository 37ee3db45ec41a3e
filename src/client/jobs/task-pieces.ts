import { create, toBinary } from "@bufbuild/protobuf";
import { type BatchItem, createBatchItems } from "../batch.ts";
import { show } from "../check.ts";
import { invalidField } from "../errors.ts";
import { type BatchItem as BatchItemMessage, BatchItemSchema } from "../gen/mlxd/v1/generation_service_pb.ts";

/** Of one message: the service takes 4 MiB and 16,384 messages in all, and a conversation has several. */
const pieceBytes = 1024 * 1024;
const pieceItems = 1000;
const pieceMessages = 12_000;

/** A part of a job's items. */
export interface Piece {
  readonly items: BatchItemMessage[];
  /** Whether there are no more. */
  readonly isLast: boolean;
}

/** Cuts tasks into pieces that fit a message, always the same ones. */
export async function* piecesOf(
  tasks: Iterable<BatchItem> | AsyncIterable<BatchItem>,
  defaultModel: string,
): AsyncGenerator<Piece, void, undefined> {
  assertIterable(tasks);
  let items: BatchItemMessage[] = [];
  let [bytes, messages, count] = [0, 0, 0];
  for await (const task of tasks) {
    const item = itemOf(task, count++, defaultModel);
    const size = toBinary(BatchItemSchema, item).length;
    const parts = partsOf(item);
    const isFull =
      items.length > 0 && (items.length >= pieceItems || bytes + size > pieceBytes || messages + parts > pieceMessages);
    if (isFull) {
      yield { items, isLast: false };
      items = [];
      [bytes, messages] = [0, 0];
    }
    items.push(item);
    bytes += size;
    messages += parts;
  }
  yield { items, isLast: true };
}

const assertIterable = (tasks: unknown): void => {
  const isIterable =
    typeof tasks === "object" && tasks !== null && (Symbol.iterator in tasks || Symbol.asyncIterator in tasks);
  if (!isIterable) throw invalidField("tasks", `${show(tasks)} is no array and nothing else that can be iterated`);
};

const itemOf = (task: BatchItem, index: number, defaultModel: string): BatchItemMessage => {
  try {
    const [item] = createBatchItems([task], defaultModel);
    return item ?? create(BatchItemSchema);
  } catch (error) {
    // It is called after its place in the job.
    if (error instanceof Error) error.message = error.message.replaceAll("items[0]", `tasks[${index}]`);
    throw error;
  }
};

/** Messages in it, as the service counts them. */
const partsOf = ({ task }: BatchItemMessage): number => {
  if (task?.input.case !== "chat") return 2;
  const { messages, tools } = task.input.value;
  return (
    2 + messages.reduce((sum, { content, toolCalls }) => sum + 1 + content.length + toolCalls.length, tools.length)
  );
};
