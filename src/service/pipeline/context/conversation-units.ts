/**
 * Divides a conversation into parts that can be left out: a user's message with all that follows, up to the next user's
 * message.
 */
import type { ChatMessage } from "../../domain/conversation.ts";

export interface Shortened {
  readonly kept: ReadonlyArray<ChatMessage>;
  /** In their order. */
  readonly dropped: ReadonlyArray<ChatMessage>;
}

/**
 * Leaves out the oldest parts. System messages and the last part stay, and a call is never separated from its result.
 * Undefined if nothing can be left out.
 *
 * @param share of the conversation's length to leave out, 0..1; one part at least
 */
export const dropOldest = (messages: ReadonlyArray<ChatMessage>, share: number): Shortened | undefined => {
  const parts = partsOf(messages);
  const last = parts.length - 1;
  if (last < 1) return undefined;
  const wanted = share * messages.reduce((total, message) => total + lengthOf(message), 0);
  const dropped: ChatMessage[] = [];
  let length = 0;
  for (const part of parts.slice(0, last)) {
    if (dropped.length > 0 && length >= wanted) break;
    dropped.push(...part);
    length += part.reduce((total, message) => total + lengthOf(message), 0);
  }
  const isDropped = new Set(dropped);
  return { kept: messages.filter((message) => !isDropped.has(message)), dropped };
};

const partsOf = (messages: ReadonlyArray<ChatMessage>): ReadonlyArray<ReadonlyArray<ChatMessage>> => {
  const parts: ChatMessage[][] = [];
  let hasUser = false;
  for (const message of messages) {
    if (message.role === "system" || message.role === "developer") continue;
    const part = parts.at(-1);
    // Messages before the first user's message belong to its part.
    if (part === undefined || (message.role === "user" && hasUser)) parts.push([message]);
    else part.push(message);
    hasUser ||= message.role === "user";
  }
  return parts;
};

const lengthOf = ({ content, toolCalls, reasoning }: ChatMessage): number =>
  content.reduce((total, part) => total + (part.type === "text" ? part.text.length : 0), 0) +
  toolCalls.reduce((total, call) => total + call.name.length + call.arguments.length, 0) +
  reasoning.length +
  overhead;

/** The overhead of a message in addition to its text, in characters. */
const overhead = 16;
