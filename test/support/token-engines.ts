/** The drivers of a service that has only one: its engines take tokens. */
import { Effect } from "effect";

import { Engines } from "../../src/service/engine/Engines.ts";
import { PrefixUse } from "../../src/service/engine/PrefixUse.ts";

export const tokenEngines = ({ start }: Pick<Engines["Service"], "start">): Engines["Service"] =>
  Engines.of({
    start,
    prepare: () => Effect.void,
    conversations: {},
    versionOf: () => "0.0.0",
    prefixUse: new PrefixUse(),
  });
