/** The catalog of a service that has no engines beside those of the model folder. */
import { type FolderEntry, readCatalog } from "../../src/service/models/catalog/catalog.ts";

export const folderEntries = async (...settings: Parameters<typeof readCatalog>): Promise<ReadonlyArray<FolderEntry>> =>
  (await readCatalog(...settings)).filter((entry) => entry.takes === "tokens");
