/** How an exchange with a server goes wrong, before it is told as an error of the service. */

/** What it answers is no chat completion. The message is a clause about the answer. */
export class AnswerUnreadable extends Error {}

/** What a server wrote, to be quoted. It is not cut: of a key in it, which is taken out of the whole, a part would stay. */
export const shown = (text: string): string => (text.length <= mostShown ? text : `(${text.length} characters)`);
const mostShown = 64;

/** Its stream holds an error, instead of output. */
export class BackendSays extends Error {
  /** JSON, as the server wrote it. */
  readonly body: string;

  constructor(body: string) {
    super("the server tells of an error");
    this.body = body;
  }
}

/** It answers with another status than 200. */
export class StatusRefused extends Error {
  readonly status: number;
  /** As it asks for; undefined where it says nothing. */
  readonly retryAfterMs: number | undefined;
  /** Its beginning, as text. */
  readonly body: string;

  constructor(status: number, retryAfterMs: number | undefined, body: string) {
    super(`the server answers ${status}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.body = body;
  }
}
