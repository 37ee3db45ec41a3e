/** Runs an effect so that others run, and may interrupt it, before each of its operations. */
import { Effect, References } from "effect";

export const stepByStep = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, References.MaxOpsBeforeYield, fewestOperations);

/** Two are what it takes to go on after a pause: with fewer it would never come to its own. */
const fewestOperations = 3;
