/** Finds a model's chat template, or a substitute if it has none. */
import type { StandInTemplate } from "../domain/family.ts";

export interface ChatTemplates {
  /** Jinja source for a conversation without tools. */
  readonly chat: string;
  /** Jinja source for a conversation with tools; usually the same. */
  readonly tools: string;
  /** Whether it is a substitute. */
  readonly isFallback: boolean;
}

/**
 * @param tokenizerConfig its `chat_template` is a text, or a list of named templates, of which `default` and `tool_use`
 *   are used
 * @param chatTemplateFile the same in a file of its own, which takes precedence
 * @param standIn the substitute for a model without a template
 */
export const readChatTemplates = (
  tokenizerConfig: object,
  chatTemplateFile?: unknown,
  standIn: StandInTemplate = "tokenizer_default",
): ChatTemplates => {
  const own = "chat_template" in tokenizerConfig ? tokenizerConfig.chat_template : undefined;
  const named = namedTemplates(chatTemplateFile ?? own);
  const chat = named.get("default") ?? named.get("tool_use");
  if (chat === undefined) {
    const source = standIns[standIn] ?? chatMl;
    return { chat: source, tools: source, isFallback: true };
  }
  return { chat, tools: named.get("tool_use") ?? chat, isFallback: false };
};

/** None of the substitutes supports tools. */
const refuseTools = `
{%- if tools %}{{ raise_exception("this model has no chat template, so it takes no tools") }}{% endif %}
{%- for message in messages %}
    {%- if message.tool_calls %}{{ raise_exception("this model has no chat template, so it takes no tool calls") }}{% endif %}
{%- endfor %}`;

const chatMl = `${refuseTools}
{%- for message in messages %}
    {{- "<|im_start|>" + message.role + "\\n" + message.content + "<|im_end|>\\n" }}
{%- endfor %}
{%- if add_generation_prompt %}{{- "<|im_start|>assistant\\n" }}{% endif %}`;

/** Gemma has no system turn, so system text goes before the first user turn. */
const gemma = `${refuseTools}
{%- if bos_token is defined %}{{- bos_token }}{% endif %}
{%- set system = namespace(text="") %}
{%- for message in messages %}
    {%- if message.role == "system" %}
        {%- set system.text = system.text + message.content + "\\n\\n" %}
    {%- else %}
        {{- "<start_of_turn>" + ("model" if message.role == "assistant" else message.role) + "\\n" }}
        {%- if message.role == "user" %}{{- system.text }}{% set system.text = "" %}{% endif %}
        {{- message.content + "<end_of_turn>\\n" }}
    {%- endif %}
{%- endfor %}
{%- if system.text %}{{- "<start_of_turn>user\\n" + system.text.rstrip() + "<end_of_turn>\\n" }}{% endif %}
{%- if add_generation_prompt %}{{- "<start_of_turn>model\\n" }}{% endif %}`;

/** The turns of the harmony format, without its preamble. */
const gptOss = `${refuseTools}
{%- for message in messages %}
    {{- "<|start|>" + message.role }}
    {%- if message.role == "assistant" %}{{- "<|channel|>final" }}{% endif %}
    {{- "<|message|>" + message.content + "<|end|>" }}
{%- endfor %}
{%- if add_generation_prompt %}{{- "<|start|>assistant" }}{% endif %}`;

const standIns: Readonly<Partial<Record<StandInTemplate, string>>> = {
  tokenizer_default_or_gemma: gemma,
  gpt_oss: gptOss,
};

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
