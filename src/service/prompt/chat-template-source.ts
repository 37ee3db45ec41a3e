/** Where a model's chat template stands, and what stands in for a missing one. */

export interface ChatTemplates {
  /** Jinja source for a conversation without tools. */
  readonly chat: string;
  /** For one with tools; mostly the same. */
  readonly tools: string;
  /** The model has none of its own. */
  readonly isFallback: boolean;
}

/**
 * @param tokenizerConfig its `chat_template` is a text, or a list of named ones, of which `default` and `tool_use` count
 * @param chatTemplateFile the same, from a file of its own, which wins
 */
export const readChatTemplates = (tokenizerConfig: object, chatTemplateFile?: unknown): ChatTemplates => {
  const own = "chat_template" in tokenizerConfig ? tokenizerConfig.chat_template : undefined;
  const named = namedTemplates(chatTemplateFile ?? own);
  const chat = named.get("default") ?? named.get("tool_use");
  if (chat === undefined) return { chat: chatMl, tools: chatMl, isFallback: true };
  return { chat, tools: named.get("tool_use") ?? chat, isFallback: false };
};

/** Whether the template does anything with tools: one that does not would drop them without a word. */
export const rendersTools = ({ tools, isFallback }: ChatTemplates): boolean => !isFallback && /\btools\b/.test(tools);

/** ChatML, refusing what it has no form for. */
const chatMl = `
{%- if tools %}{{ raise_exception("this model has no chat template, so it takes no tools") }}{% endif %}
{%- for message in messages %}
    {%- if message.tool_calls %}{{ raise_exception("this model has no chat template, so it takes no tool calls") }}{% endif %}
    {{- "<|im_start|>" + message.role + "\\n" + message.content + "<|im_end|>\\n" }}
{%- endfor %}
{%- if add_generation_prompt %}{{- "<|im_start|>assistant\\n" }}{% endif %}`;

const namedTemplates = (value: unknown): ReadonlyMap<string, string> => {
  if (typeof value === "string") return new Map([["default", value]]);
  if (!Array.isArray(value)) return new Map();
  return new Map(
    value.flatMap((item: unknown): ReadonlyArray<[string, string]> => {
      if (typeof item !== "object" || item === null || !("name" in item) || !("template" in item)) return [];
      const { name, template } = item;
      return typeof name === "string" && typeof template === "string" ? [[name, template]] : [];
    }),
  );
};
