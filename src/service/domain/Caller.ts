/** Who calls. */

type Role = "user" | "operator";

export interface Caller {
  /** For logs: `anonymous` where nobody asked who it is. */
  readonly name: string;
  /** Callers of one tenant may share what is cached; others never. */
  readonly tenant: string;
  readonly roles: ReadonlyArray<Role>;
  /** Where its calls come from, as host and port. Callers of one name are told apart by it where they share turns. */
  readonly peer: string;
}

/** The one that there is while nobody asks who calls: it may do everything. */
export const anonymous = (peer: string): Caller => ({
  name: "anonymous",
  tenant: "",
  roles: ["user", "operator"],
  peer,
});

/** What the service does for itself. */
export const itself: Caller = { name: "mlxd", tenant: "", roles: ["user", "operator"], peer: "" };

/** Whether a caller may see and end what `owner` has running. */
export const mayManage = (caller: Caller, owner: Caller): boolean =>
  caller.tenant === owner.tenant && (caller.name === owner.name || caller.roles.includes("operator"));

/**
 * Those who take turns: callers with one share do one thing after another, and each share has its turn.
 *
 * @param fairnessId as a task says it; empty where it says nothing
 */
export const shareOf = ({ name, tenant, peer }: Caller, fairnessId: string): string =>
  JSON.stringify(fairnessId === "" ? [tenant, name, peer] : [tenant, fairnessId]);

/** A name that a caller gives, of what callers of other tenants may name the same. */
export const withinTenant = ({ tenant }: Caller, name: string): string =>
  tenant === "" ? name : JSON.stringify([tenant, name]);
