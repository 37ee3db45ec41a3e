import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
  /** Who is to be trusted: the authority that made it. */
  readonly ca: Buffer;
}

/** A certificate for this machine that nobody trusts who is not told to; undefined where openssl cannot make one. */
export const createCertificate = async (): Promise<Certificate | undefined> => {
  const folder = await mkdtemp(join(tmpdir(), "mlxd-tls-"));
  const make = async (name: string, ...options: readonly string[]) => {
    const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
    const made = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"];
    await promisify(execFile)("openssl", ["req", "-x509", ...made, ...options]);
    return { key, cert };
  };
  try {
    const ca = await make("authority", "-subj", "/CN=authority of a test");
    const names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=CA:FALSE"];
    const own = await make("own", "-subj", "/CN=127.0.0.1", ...names, "-CA", ca.cert, "-CAkey", ca.key);
    return { key: await readFile(own.key), cert: await readFile(own.cert), ca: await readFile(ca.cert) };
  } catch {
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** Why a test without a certificate is skipped. */
export const noCertificate = "openssl is missing or makes no certificate";
