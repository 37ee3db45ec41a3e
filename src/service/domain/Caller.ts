/** Who calls. */

/**
 * What a caller may do: `inference` is to generate, embed and tokenize, `models` to load, unload and prepare models, `jobs` to run
 * jobs, `admin` to look after the service.
 */
export const everyRole = ["inference", "models", "jobs", "admin"] as const;
export type Role = (typeof everyRole)[number];

export interface Caller {
  /** For logs: `anonymous` where nobody asked who it is. */
  readonly name: string;
  /** Callers of one tenant may share what is cached; others never. */
  readonly tenant: string;
  readonly roles: ReadonlyArray<Role>;
  /** Where its calls come from, as host and port. Callers of one name are told apart by it where they share turns. */
  readonly peer: string;
  /** What it showed, for the audit, without anything secret: `key ci`, `certificate CN:ci`. Absent where nobody asked. */
  readonly credential?: string;
}

/** The one that there is while nobody asks who calls: it may do everything. */
export const anonymous = (peer: string): Caller => ({ name: "anonymous", tenant: "", roles: everyRole, peer });

/** Whoever calls what is open to all, where callers are asked who they are. */
export const stranger = (peer: string): Caller => ({ ...anonymous(peer), roles: [] });

/** What the service does for itself. */
export const itself: Caller = { name: "mlxd", tenant: "", roles: everyRole, peer: "" };

/** Whether a caller may see and end what `owner` has running. */
export const mayManage = (caller: Caller, owner: Caller): boolean =>
  caller.tenant === owner.tenant && (caller.name === owner.name || caller.roles.includes("admin"));

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
