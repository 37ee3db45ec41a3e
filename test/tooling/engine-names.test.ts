/** An engine is named where it is chosen or implemented, and nowhere else: another driver then needs no change elsewhere. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { assert, describe, it } from "vitest";

const service = join(import.meta.dirname, "../../src/service");
const sources = readdirSync(service, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
const code = (file: string): string =>
  readFileSync(join(service, file), "utf8")
    .replaceAll(/\/\*[^]*?\*\//g, "")
    .replaceAll(/(^|\s)\/\/.*$/gm, "");

const mayName = [
  /^engine\//,
  /^worker\//,
  /^config\//,
  // Looks at MLX itself.
  /^doctor\//,
  /^domain\/engine-names\.ts$/,
  // The table of other servers.
  /^domain\/backend-presets\.ts$/,
  // The table of short names of models.
  /^domain\/model-aliases\.ts$/,
  // A table of families and the engines that suit them.
  /^models\/catalog\/families\.ts$/,
];

const naming = (text: string): ReadonlyArray<string> =>
  text.match(/["'`](?:local[-_])?mlx["'`]|\bversions\.mlx\b|\/mlx\/|\b\w*Mlx(?!d)\w*|\bmlx\b(?!d)/g) ?? [];

describe("the names of engines", () => {
  it("stand only in engine/, worker/, config/ and the tables of names", () => {
    const found = sources
      .filter((file) => !mayName.some((allowed) => allowed.test(file)))
      .flatMap((file) => naming(code(file)).map((name) => `${file}: ${name}`));
    // The suffix of repositories at the hub, and of npm's names.
    assert.deepStrictEqual(
      found.filter((each) => each !== "models/names/model-names.ts: mlx"),
      [],
    );
  });

  it("are looked for as they would be written", () => {
    for (const text of [
      'engine === "mlx"',
      "`local_mlx`",
      "versions.mlx",
      'from "../engine/mlx/MlxEngine.ts"',
      "LoadedMlx",
    ]) {
      assert.isNotEmpty(naming(text), text);
    }
    assert.isEmpty(naming("versions.mlxd, mlxVersion"));
  });
});
