/** No process that is measured outlives the program, however it ends. */
import type { ChildProcess } from "node:child_process";

const children = new Set<ChildProcess>();

/** @returns the child */
export const endsWithUs = <Child extends ChildProcess>(child: Child): Child => {
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
};

process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});
// Without a listener a signal ends a program before its exit listeners.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
