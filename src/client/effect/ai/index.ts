/**
 * mlxd's models for `effect/ai`. These modules are unstable in Effect 4.1, and a minor version may change them; therefore this is
 * a separate entry and not part of `@mlxd/client/effect`.
 */
export { createLanguageModel, type LanguageModelOptions, layerLanguageModel, languageModel } from "./language-model.ts";
