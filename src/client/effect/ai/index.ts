/**
 * Models of mlxd for Effect's own `effect/ai`. Those modules are unstable in Effect 4.1: a minor version of it may change what
 * this needs of them, so this is an entry of its own and not a part of `@mlxd/client/effect`.
 */
export { createLanguageModel, type LanguageModelOptions, layerLanguageModel, languageModel } from "./language-model.ts";
