import { Result } from "effect";

import type * as wire from "../../client/gen/mlxd/v1/types_pb.ts";
import type { InvalidField } from "../domain/errors.ts";
import type { Tool } from "../domain/conversation.ts";
import { scanJson } from "../wire/json-scan.ts";
import { invalidField } from "./invalid-field.ts";

/** Converts the tools of a task. A schema given as JSON text is decoded, and also kept as it was sent. */
export const toolsFromWire = (
  tools: ReadonlyArray<wire.Tool>,
  path: string,
): Result.Result<ReadonlyArray<Tool>, InvalidField> =>
  Result.gen(function* () {
    const read: Tool[] = [];
    let values = 0;
    for (const [index, { name, description, parameters, parametersJson: parametersText }] of tools.entries()) {
      const refuse = (why: string) => Result.fail(invalidField(`${path}[${index}].parameters_json`, why));
      if (parametersText === "") {
        read.push({ name, description, parameters });
        continue;
      }
      if (parameters !== undefined) yield* refuse("parameters is set too; only one of the two may be");
      // Counted before decoding, which takes time for each value.
      values += countValues(parametersText);
      if (values > mostValues) {
        yield* refuse(`with it the schemas of the tools hold more than ${mostValues} JSON values`);
      }
      const decoded = decodeObject(parametersText);
      if (typeof decoded === "string") yield* refuse(decoded);
      else read.push({ name, description, parameters: decoded, parametersText });
    }
    return read;
  });

/** The same limit as for schemas given as a Struct. */
const mostValues = 65_536;

/** A lower bound of the number of values: each except the first of an object or list is preceded by a comma. */
const countValues = (text: string): number => {
  let count = 1;
  let inString = false;
  for (let at = 0; at < text.length && count <= mostValues; at++) {
    const unit = text.charCodeAt(at);
    if (inString && unit === backslash) at += 1;
    else if (unit === quote) inString = !inString;
    else if (!inString && (unit === comma || unit === bracket || unit === brace)) count += 1;
  }
  return count;
};

const [quote, comma, bracket, brace, backslash] = [0x22, 0x2c, 0x5b, 0x7b, 0x5c];

/** What is wrong with the text if it is not a JSON object. */
const decodeObject = (text: string): Readonly<Record<string, unknown>> | string => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
    return "it is no JSON object";
  } catch {
    // The parser's own message would quote the request.
    return `it is no JSON: ${scanJson(text)?.description ?? "it cannot be read"}`;
  }
};
