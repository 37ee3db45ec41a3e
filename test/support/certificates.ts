/** Certificates for tests, made by openssl. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const openssl = (...args: string[]) => promisify(execFile)("openssl", args);

/** Files in PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** An authority of its own. Undefined where openssl is missing. */
export const createAuthority = async (folder: string, name: string): Promise<Identity | undefined> => {
  const made = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  try {
    await openssl("req", "-x509", ...key, "-keyout", made.key, "-out", made.cert, "-days", "2", "-subj", `/CN=${name}`);
  } catch {
    return undefined;
  }
  return made;
};

/** A certificate that the authority stands for, with these alternative names: `IP:127.0.0.1`, `DNS:ci.example`. */
export const issue = async (
  folder: string,
  authority: Identity,
  name: string,
  alternative: string,
): Promise<Identity> => {
  const made = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  const request = join(folder, `${name}.csr`);
  const extensions = join(folder, `${name}.ext`);
  writeFileSync(extensions, `subjectAltName=${alternative}\n`);
  await openssl("req", "-new", ...key, "-keyout", made.key, "-out", request, "-subj", `/CN=${name}`);
  const signed = ["-in", request, "-CA", authority.cert, "-CAkey", authority.key, "-CAcreateserial", "-out", made.cert];
  await openssl("x509", "-req", "-days", "2", "-extfile", extensions, ...signed);
  return made;
};
