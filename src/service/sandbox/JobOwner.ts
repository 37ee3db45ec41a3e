import { Context } from "effect";

/**
 * Who asks for the jobs of a fiber. Those of one owner are done one after another, so that no caller takes every place. An
 * empty one is the service itself: each job is its own, and is taken however many callers' jobs wait.
 */
export const JobOwner = Context.Reference<string>("mlxd/sandbox/JobOwner", { defaultValue: () => "" });
