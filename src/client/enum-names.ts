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
  ContextPolicy as ContextPolicyEnum,
  FinishReason as FinishReasonEnum,
  OutputWarning_Kind,
  ReasoningOptions_Effort,
  Role as RoleEnum,
} from "./gen/mlxd/v1/types_pb.ts";

/** Names of a protobuf enum's values as the client spells them: without the enum's prefix, in lower case. */
type NamesOf<Values> = Lowercase<Exclude<keyof Values & string, "UNSPECIFIED">>;

/** Who wrote a message. */
export type Role = NamesOf<typeof RoleEnum>;

/** Why a generation ended. `unknown` is a reason that is newer than this client. */
export type FinishReason = NamesOf<typeof FinishReasonEnum> | "unknown";

/** What a warning is about. `unknown` is a kind that is newer than this client. */
export type OutputWarningKind = NamesOf<typeof OutputWarning_Kind> | "unknown";

/** How thoroughly a model reasons. */
export type ReasoningEffort = NamesOf<typeof ReasoningOptions_Effort>;

/** The state of a model. */
export type ModelState = NamesOf<typeof ModelStateEnum> | "unknown";

/** The stage of a preparation. */
export type PrepareStage = NamesOf<typeof PrepareStageEnum> | "unknown";

/** The quality of a model's answer to a simple question. */
export type Quality = NamesOf<typeof QualityEnum> | "unknown";

/** The result of a model's smoke test; `unknown` if this revision was not tested. */
export type CompatibilityStatus = NamesOf<typeof CompatibilityStatusEnum>;

/** The state of a job or an item. */
export type JobState = NamesOf<typeof JobStateEnum> | "unknown";

/** How the hidden states of a text become one vector. */
export type Pooling = NamesOf<typeof PoolingEnum> | "unknown";

/** The device that engines compute on. */
export type Device = NamesOf<typeof DeviceEnum> | "unknown";

/** What to do with a conversation that does not fit the model's context. */
export type ContextPolicy = NamesOf<typeof ContextPolicyEnum>;

/** How a generation uses the prefix cache. */
export type CacheMode = NamesOf<typeof CachePolicy_Mode>;

/** The client's name of an enum's value: `FINISH_REASON_STOP_TOKEN` is `stop_token`; `unknown` if there is none. */
export const enumName = (schema: DescEnum, value: number): string =>
  (value !== 0 && schema.value[value]?.localName.toLowerCase()) || "unknown";
