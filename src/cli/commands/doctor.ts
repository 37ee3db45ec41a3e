import { isMlxdError } from "../../client/node.ts";
import type { Finding } from "../../service/doctor/diagnose.ts";
import { CommandFailed, errorLine } from "../failures.ts";
import { json } from "../options.ts";
import { print, printJson, printTable } from "../print.ts";
import { examples, type Program } from "../program.ts";
import { type ConnectionOptions, withClient } from "../with-client.ts";

/** `mlxd doctor`: finds what keeps mlxd from working here, and says what to do about it. */
export const addDoctor = (mlxd: Program): void => {
  mlxd
    .command("doctor")
    .description("Checks machine, Node, MLX, configuration, memory, models and port, and whether a service answers.")
    .usage("[--json] [--config <file>] [--<setting> <value>...]")
    .argument("[settings...]", "--config <file> and settings as options, as for serve")
    .allowUnknownOption()
    .addOption(json)
    .addHelpText("after", examples("mlxd doctor", "mlxd doctor --json", "mlxd doctor --config mlxd.yaml"))
    .action(async (settings, _, command) => {
      const options = command.optsWithGlobals();
      const service = await askService(options);
      const { diagnose } = await import("../../service/doctor/diagnose.ts");
      const findings = [...(await diagnose(settings, service.status === "ok")), service];
      if (options.json) printJson(findings);
      else printFindings(findings);
      const problems = findings.filter(({ status }) => status === "problem").length;
      if (problems > 0)
        throw new CommandFailed(`${problems === 1 ? "one problem was" : `${problems} problems were`} found`);
    });
};

const printFindings = (findings: readonly Finding[]): void => {
  printTable(
    ["", "WHAT", "FOUND"],
    findings.map(({ name, status, detail }) => [status, name, detail]),
  );
  const open = findings.filter(({ next }) => next !== "");
  if (open.length > 0) print("");
  for (const { name, next } of open) print(`${name}: ${next}`);
};

/** It is not a problem if no service runs. */
const askService = async (options: ConnectionOptions): Promise<Finding> => {
  const name = "service";
  try {
    const info = await withClient({ ...options, timeout: options.timeout ?? longestMs }, (client, signal) =>
      client.serverInfo({ signal }),
    );
    const mlx = `MLX ${info.mlxVersion}${info.mlxBinding === "" ? "" : ` by ${info.mlxBinding}`}`;
    return { name, status: "ok", detail: `mlxd ${info.version} answers at ${options.server}, ${mlx}`, next: "" };
  } catch (error) {
    if (!isMlxdError(error)) throw error;
    if (error.reason !== "CONNECTION") {
      return { name, status: "problem", detail: errorLine(error, options.server), next: "its log says more" };
    }
    const next = 'start one with "mlxd serve", or name another with --server or MLXD_SERVER';
    return { name, status: "note", detail: `none answers at ${options.server}`, next };
  }
};

const longestMs = 5_000;
