/**
 * The validator compiles a message's rules on first use, which takes 200 ms for all of them. It is done before the port opens,
 * so that it delays no call: message by message, while models are read and loaded by other processes.
 */
import { setImmediate } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Context, Effect, Fiber, Layer } from "effect";

import { violationsIn } from "../wire/validate.ts";
import { apiServices } from "./routes.ts";

export class CompiledRules extends Context.Service<
  CompiledRules,
  {
    /** Completes when the rules of every request are compiled. */
    readonly ready: Effect.Effect<void>;
  }
>()("mlxd/rpc/CompiledRules") {
  static readonly layer = Layer.effect(
    CompiledRules,
    Effect.gen(function* () {
      const inputs = apiServices.flatMap(({ methods }) => methods.map(({ input }) => input));
      const compile = Effect.forEach(
        inputs,
        (input) =>
          Effect.andThen(
            Effect.promise(() => setImmediate()),
            Effect.sync(() => violationsIn(input, create(input))),
          ),
        { discard: true },
      );
      return CompiledRules.of({ ready: Fiber.join(yield* Effect.forkScoped(compile)) });
    }),
  );
}
