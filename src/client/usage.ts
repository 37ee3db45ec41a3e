import { create } from "@bufbuild/protobuf";
import { type Usage as UsageMessage, UsageSchema } from "./gen/mlxd/v1/types_pb.ts";
import { type Plain, toPlain } from "./plain.ts";

/** Tokens spent. */
export type Usage = Plain<UsageMessage>;

/** Reads what was spent; nothing where the service told nothing. */
export const usageFromWire = (usage: UsageMessage | undefined): Usage =>
  toPlain(UsageSchema, usage ?? create(UsageSchema));
