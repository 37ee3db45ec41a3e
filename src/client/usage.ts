import { create } from "@bufbuild/protobuf";
import { type Usage as UsageMessage, UsageSchema } from "./gen/mlxd/v1/types_pb.ts";
import { type Plain, toPlain } from "./plain.ts";

/** Tokens used. */
export type Usage = Plain<UsageMessage>;

/** Reads the usage; zero if the service reported none. */
export const usageFromWire = (usage: UsageMessage | undefined): Usage =>
  toPlain(UsageSchema, usage ?? create(UsageSchema));

/** The sum of two usages. */
export const addUsage = (before: Usage | undefined, more: Usage): Usage => {
  const { estimated = false, ...counts } = more;
  const entries = Object.entries(counts) as [Exclude<keyof Usage, "estimated">, number][];
  const sum = entries.reduce<Usage>((sum, [name, count]) => ({ ...sum, [name]: (sum[name] ?? 0) + count }), {
    promptTokens: 0,
    cachedPromptTokens: 0,
    outputTokens: 0,
    ...before,
  });
  return estimated ? { ...sum, estimated } : sum;
};
