import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import about from "../../package.json" with { type: "json" };
import { CalledWrongly } from "./failures.ts";
import { header, seconds } from "./parse-values.ts";
import { write } from "./print.ts";

/** Where a service listens without configuration. */
const defaultServer = "http://127.0.0.1:50051";

const serverUrl = (value: string): string => {
  if (/^https?:\/\//.test(value) && URL.canParse(value)) return value;
  if (/^unix:./.test(value)) return value;
  throw new InvalidArgumentError(`It is not a URL such as ${defaultServer}, nor a socket such as unix:/run/mlxd.sock.`);
};

/** The command with the options that all subcommands share, without subcommands. */
export const createProgram = () =>
  new Command("mlxd")
    .description("Serves language models on MLX, and is a client of such a service.")
    .version(about.version, "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .addOption(
      new Option("--server <url>", "the service's URL").env("MLXD_SERVER").default(defaultServer).argParser(serverUrl),
    )
    .addOption(new Option("--key-file <path>", "a file with the API key; default: MLXD_API_KEY, if set"))
    // Only a variable, because every user of the machine can see command lines.
    .addOption(new Option("--api-key <key>").env("MLXD_API_KEY").hideHelp())
    .on("option:api-key", () => {
      throw new CalledWrongly("every user of this machine can see command lines: use MLXD_API_KEY or --key-file");
    })
    .addOption(new Option("--timeout <seconds>", "fail a call that takes longer").argParser(seconds))
    .addOption(new Option("-H, --header <name:value>", "add a header to every call; may be repeated").argParser(header))
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => write(text),
      writeErr: (text) => write(text, process.stderr),
      outputError: (text, writeErr) => writeErr(text.replace(/^error: /, "mlxd: ")),
    })
    .showHelpAfterError("(see --help)")
    .exitOverride()
    .addHelpText(
      "after",
      examples(
        "mlxd serve",
        'mlxd generate "What is 2+2?"',
        "mlxd chat",
        "mlxd models --json --server http://127.0.0.1:50051",
      ),
    )
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 failed (the reason is on standard error), 2 usage error, 130 interrupted.",
    );

/** What subcommands are added to. */
export type Program = ReturnType<typeof createProgram>;

/** The end of a help text. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
}
