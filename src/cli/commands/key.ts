import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { CalledWrongly, CommandFailed } from "../failures.ts";
import { json } from "../options.ts";
import { print, printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { readText } from "../read-text.ts";

/** `mlxd key`: API keys, and the hashes by which a service knows them. */
export const addKey = (mlxd: Program): void => {
  const key = mlxd
    .command("key")
    .description("Makes API keys, and the hashes by which mlxd.yaml knows them.")
    .addOption(json)
    .addHelpText("after", examples("mlxd key new ci", "mlxd key hash ci < ci.key"));
  key
    .command("new")
    .description("Makes a key. It is told this once; the service is given its hash alone.")
    .argument("[id]", "by which the log will call it", keyId, "default")
    .option(
      "--out <path>",
      "write the key into this new file, which only you may read, and print what mlxd.yaml is told",
    )
    .addOption(json)
    .addHelpText("after", examples("mlxd key new ci", "mlxd key new ci --out ci.key"))
    .action(async (id, { out }, command) => {
      const made = `mlxd_${randomBytes(32).toString("base64url")}`;
      if (out !== undefined) {
        await writeKey(out, made);
        return print(declaration({ id, hash: hashOf(made) }));
      }
      printKey({ id, key: made, hash: hashOf(made) }, command.optsWithGlobals().json);
    });
  key
    .command("hash")
    .description("Tells the hash of a key that is read from standard input.")
    .argument("[id]", "by which the log will call it", keyId, "default")
    .addOption(json)
    .addHelpText("after", examples("mlxd key hash ci < ci.key"))
    .action(async (id, _, command) => {
      const given = (await readText(undefined))?.trim() ?? "";
      if (!/^[\w.~+/-]{32,512}=*$/.test(given)) {
        throw new CalledWrongly("a key has 32 to 512 characters: letters, digits and - . _ ~ + /");
      }
      printKey({ id, hash: hashOf(given) }, command.optsWithGlobals().json);
    });
};

interface Key {
  readonly id: string;
  /** Absent where its owner has it already. */
  readonly key?: string;
  readonly hash: string;
}

const printKey = ({ id, key, hash }: Key, isJson: boolean | undefined): void => {
  if (isJson === true) return printJson({ id, key, hash });
  if (key !== undefined) print(`key, for its owner:     ${key}`);
  print(`hash, for mlxd.yaml:    ${declaration({ id, hash })}`);
};

/** As `access.tenants.TENANT.keys` of mlxd.yaml has it. */
const declaration = ({ id, hash }: Key): string => `{ id: ${id}, hash: "${hash}" }`;

const writeKey = (path: string, key: string): Promise<void> =>
  writeFile(path, `${key}\n`, { flag: "wx", mode: 0o600 }).catch(({ code, message }: NodeJS.ErrnoException) => {
    throw new CommandFailed(`the key file cannot be made (${code ?? message})`);
  });

const hashOf = (key: string): string => `sha256:${createHash("sha256").update(key).digest("hex")}`;

const keyId = (text: string): string => {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError("It begins with a letter or digit and goes on with these and . _ -, 64 at most.");
};
