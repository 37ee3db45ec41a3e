import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What transformers and mlx-lm compute, kept beside the repository: see its README.md. */
export interface TokenizerGolden {
  readonly texts: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly ids_with_special: readonly number[];
    readonly decoded: string;
    readonly decoded_skip_special: string;
  }[];
  readonly conversations: readonly {
    readonly messages: readonly GoldenMessage[];
    readonly tools?: readonly { readonly function: GoldenTool }[];
    readonly kwargs?: Readonly<Record<string, unknown>>;
    readonly prompt?: string;
    readonly error?: string;
  }[];
}

interface GoldenMessage {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  readonly tool_call_id?: string;
  readonly tool_calls?: readonly {
    readonly id: string;
    readonly function: { readonly name: string; readonly arguments: object };
  }[];
}

interface GoldenTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export const goldensDirectory = fileURLToPath(new URL("../../../shared/goldens", import.meta.url));

/** The folders' names; none where the goldens are absent: tests are then skipped with `noGoldens` as their reason. */
export const goldenNames: readonly string[] = existsSync(goldensDirectory)
  ? readdirSync(goldensDirectory).filter((name) => !name.includes("."))
  : [];

export const noGoldens = "the goldens (../shared/goldens) are not on this machine";

export const readGolden = (name: string, file: string) =>
  JSON.parse(readFileSync(`${goldensDirectory}/${name}/${file}`, "utf8"));

export const tokenizerGolden = (name: string): TokenizerGolden => readGolden(name, "tokenizer_golden.json");
