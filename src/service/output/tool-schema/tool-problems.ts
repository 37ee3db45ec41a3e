/** Finds what is wrong with a task's tools before anything is generated. */
import type { Tool } from "../../domain/conversation.ts";
import { checkSchema, countValues, mostSchemaValues } from "./check-schema.ts";

export interface ToolProblem {
  /** Relative to the task's tools, e.g. `[0].parameters`. */
  readonly field: string;
  readonly description: string;
}

/** Where a tool's schema is in the request. */
export const parametersField = ({ parametersText }: Tool): string =>
  parametersText === undefined ? "parameters" : "parameters_json";

export const toolProblems = (tools: ReadonlyArray<Tool>): ReadonlyArray<ToolProblem> => {
  let values = 0;
  const numbers = new Map<string, number>();
  return tools.flatMap((tool, index): ReadonlyArray<ToolProblem> => {
    const { name, parameters } = tool;
    const earlier = numbers.get(name);
    if (earlier !== undefined) {
      return [{ field: `[${index}].name`, description: `"${name}" is the name of tools[${earlier}] already` }];
    }
    numbers.set(name, index);
    if (parameters === undefined) return [];
    const field = `[${index}].${parametersField(tool)}`;
    values += countValues(parameters);
    if (values > mostSchemaValues) {
      const description = `with it the schemas of the tools hold more than ${mostSchemaValues} JSON values`;
      return [{ field, description }];
    }
    const problem = checkSchema(parameters);
    if (problem === undefined) return [];
    return [{ field, description: `it is no usable JSON Schema: ${problem.where} ${problem.reason}` }];
  });
};
