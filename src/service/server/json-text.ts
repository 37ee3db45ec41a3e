/**
 * The text of a JSON request while Connect reads it. Connect tells of an error in it without the place, and gives nobody the
 * text; what decodes it belongs to all calls, so a call finds its own text by its asynchronous context.
 */
import { AsyncLocalStorage } from "node:async_hooks";

export interface JsonText {
  /** Of the message that is being read; undefined before, and when it has been read. */
  text: string | undefined;
}

const current = new AsyncLocalStorage<JsonText>();

/** Runs the handling of a call. */
export const withJsonText = <A>(handle: () => A): A => current.run({ text: undefined }, handle);

/** Of the call that is being handled. */
export const currentJsonText = (): JsonText | undefined => current.getStore();

/** Refuses what is not UTF-8, where TextDecoder by itself puts U+FFFD for it. */
class RequestDecoder extends TextDecoder {
  constructor() {
    super("utf-8", { fatal: true });
  }

  override decode(bytes: Uint8Array): string {
    const text = super.decode(bytes);
    const store = current.getStore();
    if (store !== undefined) {
      store.text = text;
      // An error is explained in this turn of the event loop; a call that goes on needs no second copy of its request.
      setImmediate(() => (store.text = undefined));
    }
    return text;
  }
}

export const requestDecoder = new RequestDecoder();
