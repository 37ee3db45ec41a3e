/** The configured tenants, and the owners of keys and certificates. */
import { createHash, timingSafeEqual } from "node:crypto";
import { Result } from "effect";

import type { AccessDeclaration, Openable, TenantDeclaration } from "../config/access-schema.ts";
import type { Caller } from "../domain/Caller.ts";
import { CredentialsInvalid } from "../domain/errors.ts";
import type { Identity } from "./jwt/Issuer.ts";

/** The credentials of a call. */
export interface Evidence {
  /** The `authorization` header. */
  readonly authorization: string | undefined;
  /** Names in the client's certificate, if it was verified: `CN:ci`, `DNS:ci.example`, `URI:spiffe://example/ci`. */
  readonly certificateNames: ReadonlyArray<string>;
  /** Host and port. */
  readonly peer: string;
}

type Identified = Result.Result<Caller, CredentialsInvalid>;

interface StoredKey {
  readonly tenant: string;
  readonly id: string;
  readonly hash: Buffer;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

export class Tenants {
  readonly #declared: ReadonlyMap<string, TenantDeclaration>;
  readonly #open: ReadonlySet<Openable>;
  readonly #keys: ReadonlyArray<StoredKey>;
  readonly #certificates: ReadonlyMap<string, string>;

  constructor({ tenants, open = [] }: AccessDeclaration) {
    const all = Object.entries(tenants);
    this.#declared = new Map(all);
    this.#open = new Set(open);
    this.#keys = all.flatMap(([tenant, { keys = [] }]) =>
      keys.map(({ id, hash, expires }) => ({
        tenant,
        id,
        hash: Buffer.from(hash.slice("sha256:".length), "hex"),
        expiresAt: expires === undefined ? Infinity : Date.parse(expires),
      })),
    );
    this.#certificates = new Map(
      all.flatMap(([tenant, { certificates = [] }]) => certificates.map((name) => [name, tenant] as const)),
    );
  }

  isOpen(surface: Openable): boolean {
    return this.#open.has(surface);
  }

  declared(tenant: string): TenantDeclaration | undefined {
    return this.#declared.get(tenant);
  }

  /** A key takes precedence over a certificate: a call with an invalid key is refused, whatever else it presents. */
  identify({ authorization, certificateNames, peer }: Evidence, now: number): Identified {
    if (authorization !== undefined) {
      const key = bearerOf(authorization);
      return key === undefined ? refused(notBearer) : this.#byKey(key, peer, now);
    }
    const named = certificateNames.find((name) => this.#certificates.has(name));
    const tenant = named === undefined ? undefined : this.#certificates.get(named);
    if (tenant !== undefined) return Result.succeed(this.#caller(tenant, `certificate ${named}`, peer));
    return refused(certificateNames.length === 0 ? nothingShown : unknownCertificate);
  }

  /** A token never grants more than its tenant has. */
  identifyBearer({ tenant, roles, subject }: Identity, peer: string): Identified {
    const declared = this.#declared.get(tenant);
    if (declared === undefined) return refused("the token names a tenant that this service does not know");
    const credential = subject === "" ? "token" : `token ${shown(subject)}`;
    const own = roles === undefined ? declared.roles : declared.roles.filter((role) => roles.includes(role));
    return Result.succeed({ ...this.#caller(tenant, credential, peer), roles: own });
  }

  /** Takes constant time: the key is compared with each known one, so that the duration reveals nothing. */
  #byKey(key: string, peer: string, now: number): Identified {
    const hash = createHash("sha256").update(key).digest();
    let found: StoredKey | undefined;
    for (const stored of this.#keys) if (timingSafeEqual(stored.hash, hash)) found = stored;
    if (found === undefined) return refused("nobody has this API key");
    const { tenant, id, expiresAt } = found;
    if (now >= expiresAt) {
      return refused(`the API key "${id}" of tenant "${tenant}" expired at ${new Date(expiresAt).toISOString()}`);
    }
    return Result.succeed(this.#caller(tenant, `key ${id}`, peer));
  }

  #caller(tenant: string, credential: string, peer: string): Caller {
    return { name: tenant, tenant, roles: this.#declared.get(tenant)?.roles ?? [], peer, credential };
  }
}

/** The issuer chooses its subjects, so only plain characters, up to a bounded length, are written to the log. */
const shown = (subject: string): string => subject.replaceAll(/[^\w.@:|+-]/g, "?").slice(0, 64);

const nothingShown = 'this service asks who calls: send "authorization: Bearer KEY"';
const notBearer = 'the header authorization is not "Bearer KEY"';
const unknownCertificate = "the client certificate names no tenant";

const refused = (problem: string): Identified => Result.fail(new CredentialsInvalid({ problem }));

/** https://www.rfc-editor.org/rfc/rfc6750#section-2.1 */
export const bearerOf = (header: string): string | undefined => /^bearer +([\w.~+/-]+=*) *$/i.exec(header)?.[1];
