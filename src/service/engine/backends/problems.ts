/** How an exchange with a server can fail. failure-of.ts maps this to the service's errors. */

import type { ConversationOption } from "../../domain/conversation-options.ts";

/** The answer does not follow the API. The message is a clause about the answer. */
export class AnswerUnreadable extends Error {}

/**
 * A server's text, to be quoted. A long text is not truncated but replaced: a truncated key could no longer be
 * recognised and removed.
 */
export const shown = (text: string): string => (text.length <= mostShown ? text : `(${text.length} characters)`);
const mostShown = 64;

/** The stream contains an error instead of output. */
export class BackendSays extends Error {
  /** The error as the server wrote it, in JSON. */
  readonly body: string;

  constructor(body: string) {
    super("the server tells of an error");
    this.body = body;
  }
}

/**
 * What a refusal holds for: every task of the model; its defaults, where it is refused beside another option only; or this
 * request alone, where the server may have quoted what the caller or the model wrote.
 */
export type RefusalReach = "model" | "defaults" | "request";

/** The server or its model does not support an option of the task. */
export class OptionRefused extends Error {
  readonly option: ConversationOption;
  /** The server's own words, or a clause about what it does. */
  readonly said: string;
  readonly reach: RefusalReach;

  constructor(option: ConversationOption, said: string, reach: RefusalReach) {
    super(`the server does not support ${option}`);
    this.option = option;
    this.said = said;
    this.reach = reach;
  }
}

/** The server answers with a status other than 200. */
export class StatusRefused extends Error {
  readonly status: number;
  /** The retry delay that the server requests; undefined if it requests none. */
  readonly retryAfterMs: number | undefined;
  /** The beginning of the body, as text. */
  readonly body: string;

  constructor(status: number, retryAfterMs: number | undefined, body: string) {
    super(`the server answers ${status}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.body = body;
  }
}
