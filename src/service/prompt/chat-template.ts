import type { ChatInput } from "../domain/generation.ts";

/** Renders a conversation into the text that the model continues. */
export interface ChatTemplate {
  /** Throws ChatTemplateRefused where the template refuses the conversation. */
  readonly render: (chat: ChatInput) => string;
}
