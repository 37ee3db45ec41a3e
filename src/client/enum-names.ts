import type { DescEnum } from "@bufbuild/protobuf";
import type { Pooling as PoolingEnum } from "./gen/mlxd/v1/embedding_service_pb.ts";
import type { JobState as JobStateEnum } from "./gen/mlxd/v1/job_service_pb.ts";
import type { Device as DeviceEnum } from "./gen/mlxd/v1/server_service_pb.ts";
import type {
  CompatibilityStatus as CompatibilityStatusEnum,
  ModelState as ModelStateEnum,
  PrepareStage as PrepareStageEnum,
  Quality as QualityEnum,
} from "./gen/mlxd/v1/model_service_pb.ts";
import type {
  CachePolicy_Mode,
  FinishReason as FinishReasonEnum,
  OutputWarning_Kind,
  ReasoningOptions_Effort,
  Role as RoleEnum,
} from "./gen/mlxd/v1/types_pb.ts";

/** Names of a protobuf enum's values as the client spells them: without the enum's prefix, in lower case. */
type NamesOf<Values> = Lowercase<Exclude<keyof Values & string, "UNSPECIFIED">>;

/** Who says a message. */
export type Role = NamesOf<typeof RoleEnum>;

/** Why a generation ended. `unknown` is a reason that is newer than this client: it has ended all the same. */
export type FinishReason = NamesOf<typeof FinishReasonEnum> | "unknown";

/** What a warning is about. `unknown` is a kind that is newer than this client. */
export type OutputWarningKind = NamesOf<typeof OutputWarning_Kind> | "unknown";

/** How thoroughly a model reasons. */
export type ReasoningEffort = NamesOf<typeof ReasoningOptions_Effort>;

/** Where a model stands. */
export type ModelState = NamesOf<typeof ModelStateEnum> | "unknown";

/** Where a preparation stands. */
export type PrepareStage = NamesOf<typeof PrepareStageEnum> | "unknown";

/** What a model's answer to a simple question is worth. */
export type Quality = NamesOf<typeof QualityEnum> | "unknown";

/** What is known of a model's answers; `unknown` of one that was not tried at its revision. */
export type CompatibilityStatus = NamesOf<typeof CompatibilityStatusEnum>;

/** Where a job or an item of one stands. */
export type JobState = NamesOf<typeof JobStateEnum> | "unknown";

/** How the hidden states of a text become one vector. */
export type Pooling = NamesOf<typeof PoolingEnum> | "unknown";

/** What engines compute on. */
export type Device = NamesOf<typeof DeviceEnum> | "unknown";

/** How a generation uses the prefix cache. */
export type CacheMode = NamesOf<typeof CachePolicy_Mode>;

/** The client's name of an enum's value: `FINISH_REASON_STOP_TOKEN` is `stop_token`; `unknown` where there is none. */
export const enumName = (schema: DescEnum, value: number): string =>
  (value !== 0 && schema.value[value]?.localName.toLowerCase()) || "unknown";
