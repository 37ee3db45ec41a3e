/** The draft model of a model. */
import type { EngineSettings } from "../../config/EngineConfig.ts";
import type { FolderEntry } from "../catalog/catalog.ts";

/** Undefined if it has none, or if speculation is off. */
export const draftOf = (
  { draft }: FolderEntry,
  { speculation }: Pick<EngineSettings, "speculation">,
): FolderEntry["draft"] => (speculation === "off" ? undefined : draft);

/** Why a model with a broken draft model cannot be loaded. */
export const unusableDraft = (draft: string, problem: string): string =>
  `its draft model "${draft}" cannot be used: ${problem}`;
