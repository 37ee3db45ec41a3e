/**
 * Keeps the text of a JSON request while Connect decodes it. Connect's errors do not say where in the text they occur,
 * and it does not expose the text. The decoder is shared by all calls, so a call finds its own text through its
 * asynchronous context.
 */
import { AsyncLocalStorage } from "node:async_hooks";

export interface JsonText {
  /** The message that is being decoded; undefined before and after. */
  text: string | undefined;
}

const current = new AsyncLocalStorage<JsonText>();

/** Runs the handling of a call. */
export const withJsonText = <A>(handle: () => A): A => current.run({ text: undefined }, handle);

/** The text of the current call. */
export const currentJsonText = (): JsonText | undefined => current.getStore();

/** Rejects invalid UTF-8, which TextDecoder would replace by U+FFFD. */
class RequestDecoder extends TextDecoder {
  constructor() {
    super("utf-8", { fatal: true });
  }

  override decode(bytes: Uint8Array): string {
    const text = super.decode(bytes);
    const store = current.getStore();
    if (store !== undefined) {
      store.text = text;
      // An error is explained within this turn of the event loop; a call that continues does not need a second copy of
      // its request.
      setImmediate(() => (store.text = undefined));
    }
    return text;
  }
}

export const requestDecoder = new RequestDecoder();
