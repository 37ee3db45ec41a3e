import { assert, it } from "vitest";

import { parseTraceParent } from "../../../src/service/calls/trace-context.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

it.each([
  [`00-${traceId}-${spanId}-01`, { traceId, spanId, sampled: true }],
  [`00-${traceId}-${spanId}-00`, { traceId, spanId, sampled: false }],
  [`00-${traceId}-${spanId}-03`, { traceId, spanId, sampled: true }],
  // A later version may say more.
  [`01-${traceId}-${spanId}-01-more`, { traceId, spanId, sampled: true }],
])("reads %s", (header, parent) => {
  assert.deepEqual(parseTraceParent(header), parent);
});

it.each([
  null,
  "",
  "x",
  `ff-${traceId}-${spanId}-01`,
  `00-${traceId}-${spanId}-01-more`,
  `00-${"0".repeat(32)}-${spanId}-01`,
  `00-${traceId}-${"0".repeat(16)}-01`,
  `00-${traceId.toUpperCase()}-${spanId}-01`,
  `00-${traceId}-${spanId}`,
  `00-${traceId}-${spanId}-01\n`,
  "0".repeat(100_000),
])("takes %s for none", (header) => {
  assert.isUndefined(parseTraceParent(header));
});
