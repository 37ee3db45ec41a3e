/** Why a request to an engine fails, and why an engine is given up. */
import type {
  AdapterBroken,
  BackendContextExceeded,
  BackendCredentials,
  BackendProtocol,
  BackendQuota,
  BackendRefused,
  BackendUnavailable,
  EngineLost,
  EngineRestarting,
  EngineStartFailed,
  EngineUnavailable,
  InsufficientMemory,
  InvalidField,
  ModelBroken,
  ModelChanged,
  ModelNotFound,
  ModelUnloaded,
  OutOfMemory,
  UnsupportedParameter,
  UnsupportedTask,
} from "../domain/errors.ts";

/** `InvalidField`: the constraint cannot be satisfied with this model's vocabulary. */
export type EngineFailure =
  | AdapterBroken
  | BackendFailure
  | EngineFault
  | EngineLost
  | EngineRestarting
  | InsufficientMemory
  | InvalidField
  | ModelUnloaded;

/** The backend rejects this task or is unavailable. Other tasks of the model may still succeed. */
export type BackendFailure =
  | BackendContextExceeded
  | BackendCredentials
  | BackendProtocol
  | BackendQuota
  | BackendRefused
  | BackendUnavailable
  | EngineLost
  | ModelNotFound
  | UnsupportedParameter
  | UnsupportedTask;

/**
 * Why an engine is given up: it does not run with this checkpoint, or on this machine in its current state, or the
 * checkpoint has changed.
 */
export type EngineFault = ModelBroken | ModelChanged | EngineStartFailed | EngineUnavailable | OutOfMemory;
