import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Folders whose files start whole services, other runtimes, containers or compilers, the slowest first. */
const slowFolders = [
  "runtime",
  "chaos",
  "deploy",
  "integration",
  "examples.test",
  "client/package",
  "cli",
  "conformance",
];

const placeOf = ({ moduleId }: TestSpecification): number => {
  const place = slowFolders.findIndex((folder) => moduleId.includes(`/test/${folder}`));
  return place === -1 ? slowFolders.length : place;
};

/**
 * Runs files that take minutes before those that take milliseconds, so that no core waits in the end for a file that began
 * last. A fresh checkout has no durations to sort by, and Vitest then sorts by size.
 */
export class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).toSorted((a, b) => placeOf(a) - placeOf(b));
  }
}
