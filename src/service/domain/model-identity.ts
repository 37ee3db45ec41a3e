/** One identity of a model, from the name that is asked for to the model in memory. */
import { Result } from "effect";

import { canonicalEngine, type EngineName, isLocalEngine, localEngineName, splitEnginePrefix } from "./engine-names.ts";
import { InvalidField, UnknownBackend } from "./errors.ts";

export interface ModelIdentity {
  /** As it was asked for. */
  readonly inputId: string;
  /** What runs it. */
  readonly engine: EngineName;
  /** Whose model it is: an engine of this machine, or a hosted provider. */
  readonly provider: EngineName;
  readonly resolvedModel: string;
  readonly downloadId: string;
  readonly loadId: string;
  /** What is expected in memory; after a load, what is. */
  readonly expectedCurrent: string;
  readonly displayName: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface IdentityOptions {
  /** The engine that a configuration says; a prefix of the name counts more. @default the local one */
  readonly engineHint?: string | undefined;
  /**
   * The model's real id at a provider, or `engine:id` to change to another engine of this machine. Undefined, an empty
   * answer and an exception change nothing.
   */
  readonly aliasOf?: ((model: string, provider: EngineName) => string | undefined) | undefined;
  /** Whose model it is, where a provider keeps one for each; opaque. */
  readonly owner?: string | undefined;
}

/** `UnknownBackend`: of an engine hint that is no engine's name. */
export const identifyModel = (
  inputId: string,
  { engineHint = "", aliasOf, owner = "" }: IdentityOptions = {},
): Result.Result<ModelIdentity, InvalidField | UnknownBackend> => {
  const asked = splitEnginePrefix(inputId.trim());
  const model = asked?.model ?? inputId.trim();
  if (model === "") {
    return Result.fail(
      new InvalidField({ violations: [{ field: "model", description: "model identifier is empty" }] }),
    );
  }
  const hinted = engineHint.trim() === "" ? localEngineName : canonicalEngine(engineHint);
  if (hinted === undefined) return Result.fail(new UnknownBackend({ backend: engineHint, known: [localEngineName] }));
  const provider = asked?.engine ?? hinted;
  const alias = attempt(() => aliasOf?.(model, provider))?.trim() || model;
  const moved = splitEnginePrefix(alias);
  const named =
    moved !== undefined && isLocalEngine(moved.engine) && moved.model !== ""
      ? moved
      : { engine: provider, model: alias };
  const isOwn = named.engine === localEngineName;
  const loadId = isOwn ? named.model : `${named.engine}:${named.model}`;
  return Result.succeed({
    inputId,
    engine: named.engine,
    provider: named.engine,
    resolvedModel: named.model,
    downloadId: named.model,
    loadId,
    expectedCurrent: isOwn || owner === "" ? loadId : `${loadId}${scopeMark}${owner}`,
    displayName: inputId,
    metadata: { engine_hint: engineHint },
  });
};

/** An engine may call what it has loaded by an id of its own. An empty one changes nothing. */
export const identityAfterLoad = (identity: ModelIdentity, current: string): ModelIdentity => {
  if (current === "") return identity;
  const [loadId = current] = current.split(scopeMark);
  const named = splitEnginePrefix(loadId);
  // A colon behind anything but an engine belongs to the model's own name.
  if (named === undefined) return { ...identity, expectedCurrent: current };
  return { ...identity, expectedCurrent: current, loadId, resolvedModel: named.model };
};

/** `engine:model`, by which models are told apart where there are several engines; the bare id without an engine. */
export const modelKey = (engine: string, id: string): string => {
  const plain = canonicalEngine(engine) ?? engine.trim().toLowerCase();
  return plain === "" ? id : `${plain}:${id}`;
};

/** Before the owner. */
const scopeMark = "::";

/** What a callback throws is its own affair. */
const attempt = <A>(callback: () => A): A | undefined => {
  try {
    return callback();
  } catch {
    return undefined;
  }
};
