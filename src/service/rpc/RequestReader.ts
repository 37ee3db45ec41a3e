/** Decodes and validates requests: heavy ones in the sandbox, all others on the main thread. */
import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { Context, Effect, Layer } from "effect";

import { InvalidField, type QueueFull, RequestMalformed } from "../domain/errors.ts";
import { callersFault } from "../sandbox/fault.ts";
import { Sandbox } from "../sandbox/Sandbox.ts";
import { putBackLongLists } from "../wire/long-lists.ts";
import type { RequestBytes } from "../wire/read-request.ts";
import { requestViolations } from "../wire/request-violations.ts";
import { taskItemsOf } from "../wire/task-items.ts";
import { rememberViolations } from "../wire/validate.ts";
import { heldRequest } from "./call-values.ts";

type Unread = InvalidField | RequestMalformed | QueueFull;

export class RequestReader extends Context.Service<
  RequestReader,
  {
    /**
     * The valid request of a call.
     *
     * @param received the message that Connect gives to the handler; empty if the request is held back
     */
    readonly read: <Request extends Message>(
      received: Request,
      context: HandlerContext,
    ) => Effect.Effect<Request, Unread>;
  }
>()("mlxd/rpc/RequestReader") {
  static readonly layer: Layer.Layer<RequestReader, never, Sandbox> = Layer.effect(
    RequestReader,
    Effect.gen(function* () {
      const sandbox = yield* Sandbox;
      const readHeld = Effect.fnUntraced(function* (schema: DescMessage, request: RequestBytes) {
        const { length: bytes } = request.bytes;
        const blamed = { field: "request", bytes, model: "", work: "reading it" };
        const read = yield* sandbox
          .run("readRequest", { type: schema.typeName, ...request }, { inputBytes: bytes })
          .pipe(Effect.mapError((failed) => callersFault(failed, blamed)));
        if ("malformed" in read) return yield* new RequestMalformed(read.malformed);
        if ("violations" in read) return yield* new InvalidField(read);
        const message = fromBinary(schema, read.message);
        putBackLongLists(message, read.lists);
        // Violations of an item are reported with that item.
        for (const [index, item] of (taskItemsOf(message) ?? []).entries()) {
          rememberViolations(item, read.ofItems[index] ?? []);
        }
        // Decoding took long enough for one turn of the event loop.
        yield* Effect.yieldNow;
        return message;
      });
      const check = (schema: DescMessage, message: Message) =>
        Effect.suspend(() => {
          const violations = requestViolations(schema, message);
          return violations.length === 0 ? Effect.void : Effect.fail(new InvalidField({ violations }));
        });
      return RequestReader.of({
        read: <Request extends Message>(received: Request, { method: { input }, values }: HandlerContext) => {
          const held = values.get(heldRequest);
          if (held === undefined) return Effect.as(check(input, received), received);
          // The method's input type is the type that its handler takes.
          return readHeld(input, held) as Effect.Effect<Request, Unread>;
        },
      });
    }),
  );
}
