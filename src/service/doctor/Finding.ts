/** One finding of `mlxd doctor`. */
export interface Finding {
  readonly name: string;
  /** `note`: it works, but not as it would by default. */
  readonly status: "ok" | "note" | "problem";
  /** One sentence. */
  readonly detail: string;
  /** What to do next; empty if nothing is to be done. */
  readonly next: string;
}

export const ok = (name: string, detail: string): Finding => ({ name, status: "ok", detail, next: "" });
export const note = (name: string, detail: string, next: string): Finding => ({ name, status: "note", detail, next });
export const problem = (name: string, detail: string, next: string): Finding => ({
  name,
  status: "problem",
  detail,
  next,
});
