/** Makes the grammars for constrained output, in the sandbox. */
import { Effect } from "effect";

import type { InvalidField, QueueFull, SandboxLost } from "../../domain/errors.ts";
import type { GrammarRequest, MadeGrammar } from "../../output/grammar/make-grammar.ts";
import { callersFault } from "../../sandbox/fault.ts";
import type { Sandbox } from "../../sandbox/Sandbox.ts";

export interface Grammars {
  /**
   * @param field the field of the request that contains the constraint
   * @returns `InvalidField` if it exceeds the sandbox's limits
   */
  readonly make: (
    request: GrammarRequest,
    field: string,
  ) => Effect.Effect<MadeGrammar, InvalidField | QueueFull | SandboxLost>;
}

export const makeGrammars = (sandbox: Sandbox["Service"], model: string): Grammars => ({
  make: (request, field) => {
    const bytes = Buffer.byteLength(JSON.stringify(request));
    return sandbox
      .run("makeGrammar", request, { inputBytes: bytes })
      .pipe(Effect.mapError((failed) => callersFault(failed, { field, bytes, model, work: "making a grammar of it" })));
  },
});
