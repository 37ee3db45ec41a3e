/** The ids of a job's items, which tell them apart: an item that was given none has its index. */
import { InvalidField } from "../../domain/errors.ts";
import type { Session } from "./Database.ts";

interface NamedItem {
  /** The caller's id; empty if it gave none. */
  readonly itemId: string;
}

/**
 * Call it with the job's row locked. Throws InvalidField where two items would have the same id.
 *
 * @param total how many items the job has, which these follow
 * @param place of the first of them in the request
 */
export const assertNewIds = async (
  session: Session,
  { id, total }: { readonly id: string; readonly total: number },
  items: ReadonlyArray<NamedItem>,
  place: number,
): Promise<void> => {
  const offsets = new Map<string, number>();
  for (const [offset, { itemId }] of items.entries()) {
    const own = itemId || String(total + offset);
    const other = offsets.get(own);
    if (other !== undefined) throw sameId(items[offset]?.itemId === "" ? other : offset, own, place);
    offsets.set(own, offset);
  }
  if (total === 0) return;
  const [named] = await session.query(
    "SELECT item_id FROM mlxd.item WHERE job_id = $1 AND item_id <> '' AND item_id = ANY($2::text[]) LIMIT 1",
    [id, [...offsets.keys()]],
  );
  if (named !== undefined) throw sameId(offsets.get(String(named["item_id"])) ?? 0, String(named["item_id"]), place);
  const indexes = [...offsets.keys()]
    .filter((text) => /^(0|[1-9]\d{0,8})$/.test(text) && Number(text) < total)
    .map(Number);
  if (indexes.length === 0) return;
  const [unnamed] = await session.query(
    "SELECT index FROM mlxd.item WHERE job_id = $1 AND index = ANY($2::int[]) AND item_id = '' LIMIT 1",
    [id, indexes],
  );
  if (unnamed !== undefined) throw sameId(offsets.get(String(unnamed["index"])) ?? 0, String(unnamed["index"]), place);
};

const sameId = (offset: number, itemId: string, place: number): InvalidField =>
  new InvalidField({
    violations: [
      {
        field: `items[${place + offset}].item_id`,
        description: `"${itemId}" is the id of another item of the job; an item that is given none has its index`,
      },
    ],
  });
