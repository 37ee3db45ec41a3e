/** The model that drafts for another. */
import type { EngineSettings } from "../../config/EngineConfig.ts";
import type { CatalogEntry } from "../catalog/catalog.ts";

/** Undefined where it has none, or where nothing is drafted at all. */
export const draftOf = (
  { draft }: CatalogEntry,
  { speculation }: Pick<EngineSettings, "speculation">,
): CatalogEntry["draft"] => (speculation === "off" ? undefined : draft);

/** Why a model cannot be loaded whose draft model is broken. */
export const unusableDraft = ({ facts, problem }: NonNullable<CatalogEntry["draft"]>): string =>
  `its draft model "${facts.id}" cannot be used: ${problem}`;
