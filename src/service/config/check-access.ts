/** Checks of the section `access` that its schema cannot express. */
import type { ConfigurationInvalid } from "../domain/errors.ts";
import { type AccessDeclaration, isTenantName } from "./access-schema.ts";
import type { Path } from "./yaml-document.ts";

/** Throws ConfigurationInvalid for an invalid name, and for a credential that would identify two tenants. */
export const checkAccess = (
  { tenants }: AccessDeclaration,
  invalid: (path: Path, problem: string) => ConfigurationInvalid,
): void => {
  const owners = new Map<string, string>();
  const claim = (what: string, value: string, tenant: string, path: Path) => {
    const owner = owners.get(value);
    if (owner !== undefined) throw invalid(path, `the ${what} is tenant "${owner}"'s already`);
    owners.set(value, tenant);
  };
  for (const [name, { keys = [], certificates = [], limits = {} }] of Object.entries(tenants)) {
    const path = ["access", "tenants", name];
    if (!isTenantName(name)) {
      throw invalid(path, "a tenant's name begins with a letter or digit and goes on with these and . _ -");
    }
    const { priority } = limits;
    if (priority !== undefined && priority.min > priority.max) {
      const problem = `min is ${priority.min}, which is over max, ${priority.max}`;
      throw invalid([...path, "limits", "priority"], problem);
    }
    const ids = new Set<string>();
    for (const [index, { id, hash }] of keys.entries()) {
      if (ids.has(id)) throw invalid([...path, "keys", index, "id"], `there are two keys "${id}"`);
      ids.add(id);
      claim("key", hash, name, [...path, "keys", index, "hash"]);
    }
    for (const [index, certificate] of certificates.entries()) {
      claim("certificate", certificate, name, [...path, "certificates", index]);
    }
  }
};
