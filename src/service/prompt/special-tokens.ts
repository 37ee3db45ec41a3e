/**
 * The tokens that tokenizer_config.json names by role: `bos_token`, `eos_token`, ..., `additional_special_tokens`. Chat
 * templates can refer to them, and they are left out of decoded text.
 */
export const specialTokens = (tokenizerConfig: object): Readonly<Record<string, string | ReadonlyArray<string>>> => {
  const tokens: Record<string, string | ReadonlyArray<string>> = {};
  for (const [role, value] of Object.entries(tokenizerConfig)) {
    const token = contentOf(value);
    if (roles.has(role) && token !== undefined) tokens[role] = token;
    if (role === "additional_special_tokens" && Array.isArray(value)) {
      tokens[role] = value.flatMap((item) => contentOf(item) ?? []);
    }
  }
  return tokens;
};

const roles = new Set(["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]);

/** A token is either a text or an object whose text is in `content`. */
const contentOf = (value: unknown): string | undefined => {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || !("content" in value)) return undefined;
  return typeof value.content === "string" ? value.content : undefined;
};
