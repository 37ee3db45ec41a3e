/** An issuer of tokens: a server of its keys, and tokens signed with them. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

export interface IssuerKey {
  readonly kid: string;
  readonly publicJwk: JWK;
  /** A token of tenant "acme" for "mlxd", good for five minutes. */
  readonly sign: (claims?: JWTPayload, header?: { readonly kid?: string | undefined }) => Promise<string>;
}

export const issuer = "https://id.example";

export const makeKey = async (kid: string, alg = "ES256"): Promise<IssuerKey> => {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    kid,
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    sign: (claims = {}, header = { kid }) => {
      const now = Math.floor(Date.now() / 1000);
      const all = { iss: issuer, aud: "mlxd", sub: "someone", tenant: "acme", exp: now + 300, ...claims };
      const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
      return new SignJWT(kept)
        .setProtectedHeader({ alg, ...(header.kid !== undefined && { kid: header.kid }) })
        .sign(privateKey);
    },
  };
};

export interface JwksServer extends AsyncDisposable {
  readonly url: string;
  /** What it answers from now on; nothing, and leaves the request open, where the body is `never`. */
  answer: (respond: { readonly status?: number; readonly body: string }) => void;
  readonly requests: () => number;
}

export const keySetOf = (...keys: ReadonlyArray<IssuerKey>): string =>
  JSON.stringify({ keys: keys.map(({ publicJwk }) => publicJwk) });

export const startJwksServer = async (...keys: ReadonlyArray<IssuerKey>): Promise<JwksServer> => {
  let current: { readonly status?: number; readonly body: string } = { body: keySetOf(...keys) };
  let requests = 0;
  const server = createServer((_request, response) => {
    requests += 1;
    if (current.body === "never") return;
    response.writeHead(current.status ?? 200, { "content-type": "application/json" });
    response.end(current.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    answer: (next) => (current = next),
    requests: () => requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
};
