// The health check of the image: ends with 0 where the service takes calls (/readyz), else with 1 and why.
import { get as getInTheClear } from "node:http";
import { get } from "node:https";

const port = process.env["MLXD_PORT"];
const path = process.argv[2] ?? "/readyz";

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

/** Whom it asks is this container: its certificate need not name 127.0.0.1. */
const ask = (isSecure: boolean): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, timeout: 4000, rejectUnauthorized: false };
    const request = (isSecure ? get : getInTheClear)(options, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode, text: text.trim() }));
    });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("no answer within 4 s")));
  });

/** A port that does not speak TLS, as MLXD_INSECURE_BIND allows. */
const isInTheClear = (error: NodeJS.ErrnoException): boolean => error.code === "EPROTO" || error.code === "ECONNRESET";

try {
  const { status, text } = await ask(true).catch((error: NodeJS.ErrnoException) => {
    if (isInTheClear(error)) return ask(false);
    throw error;
  });
  process.stdout.write(`${text}\n`);
  process.exitCode = status === 200 ? 0 : 1;
} catch (error) {
  process.stdout.write(`${String(error)}\n`);
  process.exitCode = 1;
}
