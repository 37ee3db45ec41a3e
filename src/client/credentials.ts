import type { Clock } from "./clock.ts";
import { checkNumber, checkObject, show } from "./check.ts";
import { invalidField, MlxdError } from "./errors.ts";

/** A token and when it expires. */
export interface Token {
  readonly token: string;
  /**
   * When it expires, in milliseconds since 1970 (`Date.now()`). A new token is fetched shortly before.
   * @default the token is used until a call is refused with UNAUTHENTICATED
   */
  readonly expiresAt?: number | undefined;
}

/**
 * An API key, or a function that fetches a token. The function is called once for all calls that wait for it, and again when
 * the token expires or when a call is refused with UNAUTHENTICATED; that call is then tried once more.
 */
export type Credentials = string | (() => Token | string | Promise<Token | string>);

/** A token is replaced at most this long before it expires, so that it does not expire on its way. */
const maxMarginMs = 30_000;

/** The credentials of one client. */
export class CredentialStore {
  readonly #fetch: () => Promise<Token>;
  readonly #clock: Clock;
  readonly #isFixed: boolean;
  #held: Held | undefined;
  #version = 0;

  constructor(credentials: unknown, clock: Clock) {
    this.#clock = clock;
    this.#isFixed = typeof credentials === "string";
    if (typeof credentials === "string") {
      const token = checkToken(credentials);
      this.#fetch = () => Promise.resolve(token);
    } else if (typeof credentials === "function") {
      this.#fetch = async () => checkToken(await (credentials as () => unknown)());
    } else throw invalidField("credentials", `${show(credentials)} is neither a key nor a function`);
  }

  /** The number of the token that the next call uses; a refused call passes it to {@link renew}. */
  get version(): number {
    return this.#isHeld() ? this.#version : this.#version + 1;
  }

  /** The headers with the token. */
  readonly headers = async (): Promise<Record<string, string>> => {
    const { token } = await this.#token();
    return { authorization: `Bearer ${token}` };
  };

  /** A call with this token was refused. Returns whether another token can be fetched. */
  renew(version: number): boolean {
    if (this.#isFixed) return false;
    if (version === this.#version) this.#held = undefined;
    return true;
  }

  #token(): Promise<Token> {
    if (this.#held !== undefined && this.#isHeld()) return this.#held.token;
    const held: Held = { token: this.#fetched(), renewAt: Number.POSITIVE_INFINITY };
    this.#held = held;
    this.#version++;
    held.token.then(
      ({ expiresAt }) => {
        if (expiresAt === undefined) return;
        const lifeMs = expiresAt - Date.now();
        held.renewAt = this.#clock.now() + lifeMs - Math.min(maxMarginMs, lifeMs / 10);
      },
      () => {
        if (this.#held === held) this.#held = undefined; // the next call fetches again
      },
    );
    return held.token;
  }

  #isHeld(): boolean {
    return this.#held !== undefined && this.#clock.now() < this.#held.renewAt;
  }

  async #fetched(): Promise<Token> {
    try {
      return await this.#fetch();
    } catch (cause) {
      if (cause instanceof MlxdError) throw cause;
      const problem = cause instanceof Error ? cause.message : String(cause);
      const message = `the function in the option credentials failed: ${problem}`;
      throw new MlxdError({ code: "UNAUTHENTICATED", reason: "CREDENTIALS", message, cause });
    }
  }
}

interface Held {
  readonly token: Promise<Token>;
  renewAt: number;
}

/** Errors do not contain the token: it is a secret. */
const checkToken = (value: unknown): Token => {
  const { token, expiresAt } = typeof value === "string" ? { token: value } : checkObject(value, "credentials");
  const checked = checkSecret(token);
  return expiresAt === undefined
    ? { token: checked }
    : { token: checked, expiresAt: checkNumber(expiresAt, "credentials.expiresAt") };
};

const checkSecret = (token: unknown): string => {
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
    throw invalidField("credentials", "it is not a token: a token consists of visible ASCII characters without spaces");
  }
  return token;
};
