/** Whether memory comes back. */
import { join } from "node:path";

import { inChild } from "./child.ts";
import type { Check, Section } from "./section.ts";

const folder = join(import.meta.dirname, "../../models/demo");

export const memory: Section = {
  name: "memory",
  run: async () => [await generations()],
};

const generations = async (): Promise<Check> => {
  const count = 200;
  const name = `${count} generations leave nothing behind`;
  const answer = await inChild("useMemory", { folder, generations: count }, { timeoutMs: 90_000 });
  if (answer.type === "problem") return { name, status: "failed", detail: answer.problem };
  const { early, late, idle } = answer.value;
  const figures = Object.fromEntries(
    Object.entries({ early, late, idle }).flatMap(([when, bytes]) =>
      Object.entries(bytes).map(([what, value]) => [`${what} ${when}`, Number(value)]),
    ),
  );
  const grown = late.active - early.active;
  // One more batch's worth of arrays may be alive, or a process may have grown by its heap.
  const most = 64 * 1024 ** 2;
  const grownResident = late.resident - early.resident;
  if (grown > most) return { name, status: "failed", detail: `arrays grew by ${grown} bytes`, figures };
  if (grownResident > 2 * most)
    return { name, status: "failed", detail: `the process grew by ${grownResident} bytes`, figures };
  if (idle.cached > most)
    return { name, status: "failed", detail: `${idle.cached} bytes stay in MLX's cache when idle`, figures };
  return { name, status: "passed", figures };
};
