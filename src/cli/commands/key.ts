import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { CalledWrongly, CommandFailed } from "../failures.ts";
import { json } from "../options.ts";
import { print, printJson } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { readText } from "../read-text.ts";

/** `mlxd key`: makes API keys, and the hashes by which a service recognises them. */
export const addKey = (mlxd: Program): void => {
  const key = mlxd
    .command("key")
    .description("Makes API keys, and the hashes of them for mlxd.yaml.")
    .addOption(json)
    .addHelpText("after", examples("mlxd key new ci", "mlxd key hash ci < ci.key"));
  key
    .command("new")
    .description("Makes a key. It is shown only once; the service gets only its hash.")
    .argument("[id]", "the key's name in logs", keyId, "default")
    .option("--out <path>", "write the key to this new file, readable only by you, and print the line for mlxd.yaml")
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
    .description("Prints the hash of a key that is read from standard input.")
    .argument("[id]", "the key's name in logs", keyId, "default")
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
  /** Absent if the key's owner has it already. */
  readonly key?: string;
  readonly hash: string;
}

const printKey = ({ id, key, hash }: Key, isJson: boolean | undefined): void => {
  if (isJson === true) return printJson({ id, key, hash });
  if (key !== undefined) print(`key, for its owner:     ${key}`);
  print(`hash, for mlxd.yaml:    ${declaration({ id, hash })}`);
};

/** In the format of `access.tenants.TENANT.keys` in mlxd.yaml. */
const declaration = ({ id, hash }: Key): string => `{ id: ${id}, hash: "${hash}" }`;

const writeKey = (path: string, key: string): Promise<void> =>
  writeFile(path, `${key}\n`, { flag: "wx", mode: 0o600 }).catch(({ code, message }: NodeJS.ErrnoException) => {
    throw new CommandFailed(`the key file cannot be made (${code ?? message})`);
  });

const hashOf = (key: string): string => `sha256:${createHash("sha256").update(key).digest("hex")}`;

const keyId = (text: string): string => {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError(
    "It must begin with a letter or digit, followed by up to 63 letters, digits, and . _ -",
  );
};
