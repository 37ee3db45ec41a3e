/**
 * A copy of a JSON Schema without its regular expressions. They come from the caller and would run over what the model
 * writes, on the service's only thread: one that backtracks without end would stop everybody.
 *
 * Where properties are named by a pattern, nothing is said about additional ones either: they could not be told apart.
 */
export const withoutPatterns = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(withoutPatterns);
  if (typeof schema !== "object" || schema === null) return schema;
  const named = "patternProperties" in schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([keyword]) => !dropped.has(keyword) && !(named && additional.has(keyword)))
      .map(([keyword, value]: [string, unknown]) => [keyword, copyOf(keyword, value)]),
  );
};

const dropped = new Set(["pattern", "patternProperties"]);
const additional = new Set(["additionalProperties", "unevaluatedProperties"]);

/** Their members are names, not keywords. */
const maps = new Set(["properties", "$defs", "definitions", "dependentSchemas", "dependencies"]);
/** Plain values. */
const data = new Set(["const", "enum", "default", "examples"]);

const copyOf = (keyword: string, value: unknown): unknown => {
  if (data.has(keyword)) return value;
  if (!maps.has(keyword) || typeof value !== "object" || value === null) return withoutPatterns(value);
  return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, withoutPatterns(schema)]));
};
