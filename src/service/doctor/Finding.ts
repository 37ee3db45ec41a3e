/** What `mlxd doctor` tells of one thing. */
export interface Finding {
  readonly name: string;
  /** `note`: it works, and not as it would by default. */
  readonly status: "ok" | "note" | "problem";
  /** A sentence. */
  readonly detail: string;
  /** What to do next; empty where there is nothing to do. */
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
