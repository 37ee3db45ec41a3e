/**
 * Converts items to their stored form, with a fixed seed, so that a second attempt gives the same output as the first.
 */
import { createHash, randomInt } from "node:crypto";
import { Schema } from "effect";

import { GenerationTask } from "../domain/generation-task.ts";
import type { AskedItem, AskedJob } from "./Jobs.ts";
import type { NewItem } from "./store/append-items.ts";
import type { NewJob } from "./store/submit-job.ts";
import type { Caller } from "../domain/Caller.ts";

const TaskText = Schema.fromJsonString(Schema.toCodecJson(GenerationTask));
const encode = Schema.encodeSync(TaskText);
export const decodeTask = Schema.decodeUnknownEffect(TaskText);

/** @throws if a task is invalid, which is a bug */
export const itemToStore = ({ itemId, task }: AskedItem): NewItem => {
  if (!isTask(task)) {
    const hash = hashOf(itemId, task._tag, task.message);
    return { itemId, model: "", hash, task: undefined, outcome: { type: "error", error: task } };
  }
  const { seed = randomInt(2 ** 32) } = task.sampling;
  const seeded = { ...task, sampling: { ...task.sampling, seed } };
  // Of the item as requested: a request without a seed gets a different one each time.
  const hash = hashOf(itemId, textOf(task));
  return { itemId, model: task.model, hash, task: textOf(seeded), outcome: undefined };
};

const isTask = (task: AskedItem["task"]): task is GenerationTask => !("_tag" in task);

/** JSON-compatible tasks need no encoding; bytes and undefined values do. */
const textOf = (task: GenerationTask): string => {
  const { input } = task;
  const isPlain =
    input.type !== "chat" ||
    (input.tools.length === 0 && input.messages.every(({ content }) => content.every(({ type }) => type === "text")));
  return isPlain ? JSON.stringify(task) : encode(task);
};

const hashOf = (...parts: ReadonlyArray<string>): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 22);

/** A job in its stored form. */
export const jobToStore = ({ items, ...job }: AskedJob, caller: Caller): NewJob => {
  const stored = items.map(itemToStore);
  const { labels, ...options } = job.options;
  return {
    ...job,
    caller,
    items: stored,
    fingerprint: {
      items: hashOf(...stored.map(({ hash }) => hash)),
      open: !job.sealed,
      ...Object.fromEntries(Object.entries(options).map(([key, value]) => [`options.${key}`, value])),
      "options.defaults": hashOf(job.defaults),
      "options.labels": hashOf(
        ...Object.keys(labels)
          .toSorted()
          .flatMap((key) => [key, labels[key] ?? ""]),
      ),
    },
  };
};
