/** The model that drafts for another. */
import type { EngineSettings } from "../../config/EngineConfig.ts";
import type { FolderEntry } from "../catalog/catalog.ts";

/** Undefined where it has none, or where nothing is drafted at all. */
export const draftOf = (
  { draft }: FolderEntry,
  { speculation }: Pick<EngineSettings, "speculation">,
): FolderEntry["draft"] => (speculation === "off" ? undefined : draft);

/** Why a model cannot be loaded whose draft model is broken. */
export const unusableDraft = ({ facts, problem }: NonNullable<FolderEntry["draft"]>): string =>
  `its draft model "${facts.id}" cannot be used: ${problem}`;
