/** Makes an engine of a token engine: reads its tokens with the model's vocabulary, so that drivers need not. */
import { Effect } from "effect";

import type { Vocabulary } from "../prompt/Vocabulary.ts";
import type { Engine, EngineEvent, EngineRequest, TokenEngine, TokenEvent } from "./Engine.ts";
import { describeLogprobs } from "./token-logprobs.ts";
import { TokenReader } from "./TokenReader.ts";

export const readingEngine = (engine: TokenEngine, vocabulary: Vocabulary): Engine => ({
  ...engine,
  generate: (request, onEvent) =>
    Effect.suspend(() => engine.generate(request, readOutput(request, vocabulary, onEvent))),
});

/** Reads the events of one generation. Returns true if the output is complete, by a stop sequence or another role's turn. */
export const readOutput = (
  request: EngineRequest,
  vocabulary: Vocabulary,
  emit: (event: EngineEvent) => void,
): ((event: TokenEvent) => boolean) => {
  const reader = new TokenReader(request, vocabulary, emit);
  let isAdmitted = false;
  return (event) => {
    switch (event.type) {
      case "admitted":
        reader.cachedPromptTokens = event.cachedPromptTokens;
        // A replay is not reported to the caller.
        if (!isAdmitted) emit(event);
        isAdmitted = true;
        return false;
      case "prompt": {
        const tokens = event.logprobs.map((logprobs, place) =>
          describeLogprobs(vocabulary, request.promptTokenIds[place] ?? -1, logprobs),
        );
        emit({ type: "prompt", tokens });
        return false;
      }
      case "token": {
        const { tokenId, logprobs, drafts } = event;
        return reader.push(tokenId, {
          logprobs: logprobs === undefined ? [] : [describeLogprobs(vocabulary, tokenId, logprobs)],
          ...(drafts !== undefined && { drafts }),
        });
      }
      case "finished":
        reader.end(event.reason);
        return true;
    }
  };
};
