import { assert, describe, it } from "@effect/vitest";

import { ProgressMeter } from "../../../../src/service/models/download/progress-meter.ts";

const file = (path: string, size: number) => ({ path, size, checksum: undefined });

describe("the progress of a download", () => {
  const [small, large] = [file("config.json", 10), file("model.safetensors", 1000)];

  it("adds up the bytes of its files, and counts those that are done", () => {
    const meter = new ProgressMeter([small, large]);
    assert.deepEqual(meter.progress, { bytesDone: 0, bytesTotal: 1010, filesDone: 0, filesTotal: 2 });
    meter.setBytes(large, 400);
    meter.setDone(small);
    assert.deepEqual(meter.progress, { bytesDone: 410, bytesTotal: 1010, filesDone: 1, filesTotal: 2 });
    meter.setDone(large);
    meter.setDone(large);
    assert.deepEqual(meter.progress, { bytesDone: 1010, bytesTotal: 1010, filesDone: 2, filesTotal: 2 });
  });

  it("goes back where bytes turned out to be wrong", () => {
    const meter = new ProgressMeter([large]);
    meter.setBytes(large, 1000);
    meter.setBytes(large, 0);
    assert.deepEqual(meter.progress, { bytesDone: 0, bytesTotal: 1000, filesDone: 0, filesTotal: 1 });
  });
});
