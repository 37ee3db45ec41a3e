/** Tokens and labels of chat templates that should never appear in a model's text. */
export const roleMarkers: ReadonlyArray<string> = [
  "<|im_start|>",
  "<|im_end|>",
  "<|user|>",
  "<|assistant|>",
  "<|endoftext|>",
  "### Instruction:",
  "### Response:",
  "[/INST]",
  "[INST]",
  "<s>",
];
