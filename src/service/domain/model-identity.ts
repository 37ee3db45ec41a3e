/** The identity of a model, from the requested name to the model that is loaded. */
import { Result } from "effect";

import { canonicalEngine, type EngineName, isLocalEngine, localEngineName, splitEnginePrefix } from "./engine-names.ts";
import { InvalidField, UnknownBackend } from "./errors.ts";

export interface ModelIdentity {
  /** The name as requested. */
  readonly inputId: string;
  /** The engine that runs it. */
  readonly engine: EngineName;
  /** Whose model it is: a local engine's or a hosted provider's. */
  readonly provider: EngineName;
  readonly resolvedModel: string;
  readonly downloadId: string;
  readonly loadId: string;
  /** The id that is expected to be loaded; after a load, the id that is loaded. */
  readonly expectedCurrent: string;
  readonly displayName: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface IdentityOptions {
  /** The engine from the configuration; a prefix in the name takes precedence. @default the local one */
  readonly engineHint?: string | undefined;
  /**
   * Returns the model's real id at a provider, or `engine:id` to change to another local engine. Undefined, an empty
   * result or an exception changes nothing.
   */
  readonly aliasOf?: ((model: string, provider: EngineName) => string | undefined) | undefined;
  /** The owner of the model, if a provider keeps separate models for each; opaque. */
  readonly owner?: string | undefined;
}

/** Fails with `UnknownBackend` if the engine hint is not the name of an engine. */
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

/** An engine may have its own id for a loaded model. An empty one changes nothing. */
export const identityAfterLoad = (identity: ModelIdentity, current: string): ModelIdentity => {
  if (current === "") return identity;
  const [loadId = current] = current.split(scopeMark);
  const named = splitEnginePrefix(loadId);
  // A colon after anything but an engine's name is part of the model's name.
  if (named === undefined) return { ...identity, expectedCurrent: current };
  return { ...identity, expectedCurrent: current, loadId, resolvedModel: named.model };
};

/** `engine:model`, which identifies a model across engines; the bare id if there is no engine. */
export const modelKey = (engine: string, id: string): string => {
  const plain = canonicalEngine(engine) ?? engine.trim().toLowerCase();
  return plain === "" ? id : `${plain}:${id}`;
};

/** Separates the key from the owner. */
const scopeMark = "::";

/** An exception in a caller-supplied function counts as no result. */
const attempt = <A>(callback: () => A): A | undefined => {
  try {
    return callback();
  } catch {
    return undefined;
  }
};
