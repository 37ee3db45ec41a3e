import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const goldens = fileURLToPath(new URL("../fixtures/goldens", import.meta.url));

/** The files of a golden checkpoint that can be loaded, with others beside them as repositories have them. */
export const goldenRepository = (name: "gemma3-float16" | "gpt_oss-mixed"): Record<string, Uint8Array> => {
  const folder = join(goldens, name);
  const files = readdirSync(folder).map((file) => [file, readFileSync(join(folder, file))] as const);
  return Object.fromEntries([
    ...files,
    ["README.md", Buffer.from("# a card")],
    ["pytorch_model.bin", Buffer.alloc(20_000)],
    ["model.gguf", Buffer.alloc(20_000)],
    ["logo.png", Buffer.alloc(10)],
    ["consolidated.safetensors", Buffer.alloc(20_000)],
    [".gitattributes", Buffer.from("*.safetensors filter=lfs")],
  ]);
};
