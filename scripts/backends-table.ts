/** `npm run docs:backends`: writes the tables of docs/backends.md from what the service knows of the engines. */
import { readFileSync, writeFileSync } from "node:fs";

import { modelAliases } from "../src/service/domain/model-aliases.ts";
import { type BackendPreset, backendPresets } from "../src/service/domain/backend-presets.ts";

const page = new URL("../docs/backends.md", import.meta.url);

const presets = Object.entries<BackendPreset>(backendPresets);

/** What each has beside what all have is told of it. */
const common = (presets[0]?.[1].options ?? []).filter((option) =>
  presets.every(([, { options }]) => options.includes(option)),
);

const code = (text: string): string => `\`${text}\``;

const engines = [
  ["engine", "base URL", "key from", "`managed: true` starts"],
  ...presets.map(([engine, { baseUrl, keyVariable, command }]) => [
    code(engine),
    code(baseUrl),
    keyVariable === undefined ? "none" : code(keyVariable),
    command === undefined ? "-" : code(command.join(" ")),
  ]),
];

const options = [
  ["engine", "options of a task, beside those that all take"],
  ["all", common.map(code).join(", ")],
  ...presets.map(([engine, preset]) => [
    code(engine),
    preset.options
      .filter((option) => !common.includes(option))
      .map(code)
      .join(", ") || "-",
  ]),
];

const namedBy = ["local_mlx", "ollama", "lmstudio", "vllm", "openrouter"] as const;
const names = [
  ["name", ...namedBy.map((engine) => (engine === "local_mlx" ? "here, and `mlx_lm_server`" : code(engine)))],
  ...Object.entries(modelAliases).map(([name, byEngine]) => [
    code(name),
    ...namedBy.map((engine) => (byEngine[engine] === undefined ? "-" : code(byEngine[engine]))),
  ]),
];

/** As the formatter lays tables out. */
const tableOf = ([head = [], ...rows]: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
};

/** The page with its tables as they should be. */
export const withTables = (text: string): string =>
  [
    ["engines", tableOf(engines)],
    ["options", tableOf(options)],
    ["names", tableOf(names)],
  ].reduce((result, [name, table]) => {
    const place = new RegExp(`(<!-- ${name} -->\\n)[^]*?(\\n<!-- /${name} -->)`);
    if (!place.test(result)) throw new Error(`docs/backends.md has no place for its ${name}`);
    return result.replace(place, (_, before: string, after: string) => `${before}\n${table}\n${after}`);
  }, text);

if (import.meta.main) writeFileSync(page, withTables(readFileSync(page, "utf8")));
