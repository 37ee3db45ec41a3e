/** Folders of real models: the demo model and small goldens, and copies of one with something wrong. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export const realModels = {
  demo: join(root, "models/demo"),
  gemma: join(root, "test/fixtures/goldens/gemma3-float16"),
  gpt: join(root, "test/fixtures/goldens/gpt_oss-mixed"),
} as const;

/** What follows the prompt greedily, as mlx-lm computed it. */
export const goldenRuns = (
  model: "gemma" | "gpt",
): ReadonlyArray<{ readonly prompt_ids: readonly number[]; readonly greedy_ids: readonly number[] }> =>
  JSON.parse(readFileSync(join(realModels[model], "golden.json"), "utf8")).runs;

type Header = Record<string, { shape: number[]; data_offsets: [number, number] }>;

/** Rewrites the header of a safetensors file; the tensors' bytes stay as they are. */
const changeHeader = (file: string, change: (header: Header) => void): void => {
  const bytes = readFileSync(file);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header: Header = JSON.parse(bytes.subarray(8, end).toString("utf8"));
  change(header);
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([length, text, bytes.subarray(end)]));
};

/** The first number of a tensor of float16 is none any more. */
const spoilTensor = (file: string, name: string): void => {
  const bytes = readFileSync(file);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header: Header = JSON.parse(bytes.subarray(8, end).toString("utf8"));
  bytes.writeUInt16LE(0x7e00, end + (header[name]?.data_offsets[0] ?? 0));
  writeFileSync(file, bytes);
};

const changeConfig = (directory: string, changes: Readonly<Record<string, unknown>>): void => {
  const file = join(directory, "config.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...changes }));
};

const weights = (directory: string): string => join(directory, "model.safetensors");
const norm = "model.norm.weight";

/** By what is wrong: how to make it so, and what has to be said of it. */
export const damages = {
  "unknown-type": [(directory) => changeConfig(directory, { model_type: "nonesuch" }), /model_type "nonesuch"/],
  "missing-tensor": [
    (directory) => changeHeader(weights(directory), (header) => void delete header[norm]),
    /tensor model\.norm\.weight is missing/,
  ],
  "other-shape": [
    (directory) =>
      changeHeader(weights(directory), (header) => {
        const tensor = header[norm];
        if (tensor !== undefined) tensor.shape = [2, tensor.shape.reduce((a, b) => a * b, 1) / 2];
      }),
    /tensor model\.norm\.weight has shape \[2, 16\], expected \[32\]/,
  ],
  truncated: [(directory) => truncateSync(weights(directory), 9000), /model\.safetensors is truncated/],
  "no-config": [(directory) => rmSync(join(directory, "config.json")), /config\.json is missing/],
  "broken-tokenizer": [
    (directory) => truncateSync(join(directory, "tokenizer.json"), 100),
    /tokenizer\.json is not valid JSON/,
  ],
  "no-number": [
    (directory) => spoilTensor(weights(directory), "model.layers.2.mlp.up_proj.weight"),
    /tensor model\.layers\.2\.mlp\.up_proj\.weight has values that are not finite numbers/,
  ],
  "missing-shard": [
    (directory) =>
      writeFileSync(
        join(directory, "model.safetensors.index.json"),
        JSON.stringify({ weight_map: { [norm]: "model-00002-of-00002.safetensors" } }),
      ),
    /names model-00002-of-00002\.safetensors, which is missing/,
  ],
  "another-vocabulary": [(directory) => changeConfig(directory, { vocab_size: 77 }), /they are another model's/],
  "no-hidden-size": [
    (directory) => changeConfig(directory, { hidden_size: null }),
    /config\.json: hidden_size is null, it must be/,
  ],
} as const satisfies Record<string, readonly [(directory: string) => void, RegExp]>;

export interface ModelFolder extends Disposable {
  readonly directory: string;
}

export const createModelFolder = (
  names: ReadonlyArray<keyof typeof realModels>,
  broken: ReadonlyArray<keyof typeof damages> = [],
): ModelFolder => {
  const directory = mkdtempSync(join(tmpdir(), "mlxd-models-"));
  for (const name of names) symlinkSync(realModels[name], join(directory, name));
  for (const name of broken) {
    cpSync(realModels.gemma, join(directory, name), { recursive: true });
    damages[name][0](join(directory, name));
  }
  return { directory, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
};
