/** The identity of a caller. */

/**
 * What a caller may do: `inference` generates, embeds and tokenises, `models` loads, unloads and prepares models,
 * `jobs` runs jobs, `admin` administers the service.
 */
export const everyRole = ["inference", "models", "jobs", "admin"] as const;
export type Role = (typeof everyRole)[number];

export interface Caller {
  /** For logs; `anonymous` if authentication is off. */
  readonly name: string;
  /** Callers of one tenant may share cached prefixes; callers of different tenants never do. */
  readonly tenant: string;
  readonly roles: ReadonlyArray<Role>;
  /** Host and port that its calls come from. It distinguishes callers with the same name when they take turns. */
  readonly peer: string;
  /**
   * Which credential it presented, for the audit log and without secrets: `key ci`, `certificate CN:ci`. Absent if
   * authentication is off.
   */
  readonly credential?: string;
}

/** The caller of every call while authentication is off; it may do everything. */
export const anonymous = (peer: string): Caller => ({ name: "anonymous", tenant: "", roles: everyRole, peer });

/** An unauthenticated caller of a method that is open to everybody while authentication is on. */
export const stranger = (peer: string): Caller => ({ ...anonymous(peer), roles: [] });

/** The caller of the service's own work. */
export const itself: Caller = { name: "mlxd", tenant: "", roles: everyRole, peer: "" };

/** Whether a caller may see and cancel what `owner` has running. */
export const mayManage = (caller: Caller, owner: Caller): boolean =>
  caller.tenant === owner.tenant && (caller.name === owner.name || caller.roles.includes("admin"));

/**
 * The key by which callers take turns: callers with the same key share one turn.
 *
 * @param fairnessId the task's fairness id; empty if it has none
 */
export const shareOf = ({ name, tenant, peer }: Caller, fairnessId: string): string =>
  JSON.stringify(fairnessId === "" ? [tenant, name, peer] : [tenant, fairnessId]);

/**
 * Qualifies a name chosen by a caller with the caller's tenant, so that equal names of different tenants do not
 * collide.
 */
export const withinTenant = ({ tenant }: Caller, name: string): string =>
  tenant === "" ? name : JSON.stringify([tenant, name]);

/** What all names of a tenant begin with that `withinTenant` gives, and none of another one. */
export const beginningOfTenant = (tenant: string): string => `[${JSON.stringify(tenant)},`;

/** The tenant and the name that `withinTenant` has put together. */
export const partsOfName = (scoped: string): { readonly tenant: string; readonly name: string } => {
  const [tenant, name] = asList(scoped);
  return typeof tenant === "string" && typeof name === "string" && JSON.stringify([tenant, name]) === scoped
    ? { tenant, name }
    : { tenant: "", name: scoped };
};

const asList = (text: string): ReadonlyArray<unknown> => {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
};
