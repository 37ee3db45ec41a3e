import { assistant, callTool, user, writeJson, type Language, type Message, type Tool } from "../example.ts";
import type { Random } from "../random.ts";
import { answerTo, askFor, type Operation, type Question, type Sum } from "./arithmetic-phrases.ts";
import { resultOf } from "./arithmetic.ts";
import { drawFor, type Calculator, type Setting, type Skill } from "./skill.ts";
import { englishWord } from "./words.ts";

/** The call for a question; expressions are held out whole. */
export const calculatorCalls: Skill = {
  id: "tool-call",
  title: "calling a calculator tool",
  bound: 0.9,
  draw(random, setting) {
    const { calculator, question, sum } = ask(random, setting);
    const call = { name: calculator.name, arguments: { [calculator.parameter]: expressionOf(sum) } };
    return { messages: [user(question.text), callTool(call.name, call.arguments)], expect: { kind: "call", call } };
  },
};

/** The call, the tool's result and the answer, which holds the tool's number even where the tool is wrong. */
export const calculatorAnswers: Skill = {
  id: "tool-answer",
  title: "answering from the tool's result",
  bound: 0.9,
  draw(random, setting) {
    const { calculator, question, sum } = ask(random, setting);
    const call = callTool(calculator.name, { [calculator.parameter]: expressionOf(sum) });
    const language = setting.answerIn ?? question.language;
    if (setting.split === "train" && random.chance(0.03)) {
      const answer = language === "en" ? "The calculator reported an error." : "계산기가 오류를 알렸습니다.";
      return {
        messages: [user(question.text), call, { role: "tool", content: failure(random) }, assistant(answer)],
        expect: { kind: "text", text: answer },
      };
    }
    const result = random.chance(0.3) ? String(random.whole(-99, 9999)) : resultText(sum);
    const answer = answerTo({ ...question, language }, sum, result);
    const told: Message = { role: "tool", content: tellResult(random, sum, result) };
    return {
      messages: [user(question.text), call, told, assistant(answer)],
      expect: { kind: "number", value: result },
    };
  },
};

/** A list of tools with a calculator in it, in one of the many ways that clients describe one. */
export function drawTools(random: Random): { tools: Tool[]; calculator: Calculator } {
  const usual = random.chance(0.75);
  const calculator: Calculator = {
    name: usual
      ? "calculator"
      : random.pick(["calculator", "calc", "calculate", "math", "evaluate", "compute", "do_math"]),
    parameter:
      usual || random.chance(0.5) ? "expression" : random.pick(["expr", "input", "formula", "query", "equation"]),
  };
  const property = {
    type: "string",
    ...(random.chance(0.75) ? { description: random.pick(parameterDescriptions) } : {}),
  };
  const tools = [describe(random, calculator.name, random.pick(descriptions), calculator.parameter, property)];
  if (random.chance(0.2)) tools.splice(random.whole(0, 1), 0, drawOtherTool(random));
  return { tools, calculator };
}

export function drawOtherTool(random: Random): Tool {
  const [name, description, parameter] = random.pick(otherTools);
  return describe(random, name, description, parameter, {
    type: "string",
    ...(random.chance(0.4) ? { description: random.pick(["The city", "The query", "A name", "Text"]) } : {}),
  });
}

function describe(
  random: Random,
  name: string,
  description: string,
  parameter: string,
  property: Record<string, unknown>,
): Tool {
  const properties = { [parameter]: anyOrder(random, property) };
  const parameters: Record<string, unknown> = { type: "object", properties };
  if (random.chance(0.75)) parameters["required"] = [parameter];
  if (random.chance(0.15)) parameters["additionalProperties"] = false;
  const own = random.chance(0.1)
    ? `${description} ${englishWord(random)} ${englishWord(random)} ${englishWord(random)}`
    : description;
  return {
    type: "function",
    function: { name, description: random.chance(0.05) ? "" : own, parameters: anyOrder(random, parameters) },
  };
}

/** Not every client keeps the order of an object's keys. */
function anyOrder(random: Random, object: Record<string, unknown>): Record<string, unknown> {
  return random.chance(0.2) ? Object.fromEntries(random.shuffle(Object.entries(object))) : object;
}

function ask(random: Random, setting: Setting): { calculator: Calculator; question: Question; sum: Sum } {
  const sum = drawFor(
    setting.split,
    () => drawSum(random),
    (drawn) => `tool:${expressionOf(drawn)}`,
  );
  const language: Language = random.chance(0.62) ? "en" : "ko";
  return {
    calculator: setting.calculator ?? { name: "calculator", parameter: "expression" },
    question: askFor(random, sum, language),
    sum,
  };
}

function drawSum(random: Random): Sum {
  const operation = random.weighted<Operation>([
    ["+", 3],
    ["-", 3],
    ["*", 4],
    ["/", 1],
  ]);
  const operand = (): number =>
    random.whole(
      0,
      random.weighted([
        [12, 2],
        [99, 4],
        [999, 4],
        [9999, 2],
      ]),
    );
  const right = operand();
  return { left: operand(), operation, right: operation === "/" ? Math.max(1, right) : right };
}

function expressionOf({ left, operation, right }: Sum): string {
  return `${left}${operation}${right}`;
}

function resultText(sum: Sum): string {
  return String(Math.round(resultOf(sum) * 100) / 100);
}

function tellResult(random: Random, sum: Sum, result: string): string {
  const expression = random.chance(0.5) ? expressionOf(sum) : `${sum.left} ${sum.operation} ${sum.right}`;
  return random.weighted<() => string>([
    [() => result, 8],
    [() => writeJson({ result: Number(result) }), 4],
    [() => JSON.stringify({ result: Number(result) }), 2],
    [() => `${expression} = ${result}`, 2],
    [() => `Result: ${result}`, 1],
    [() => writeJson({ answer: Number(result) }), 1],
    [() => writeJson({ value: Number(result) }), 1],
    [() => writeJson({ expression, result: Number(result) }), 1],
    [() => `The result is ${result}`, 1],
    [() => writeJson({ result }), 1],
    [() => `결과: ${result}`, 1],
  ])();
}

function failure(random: Random): string {
  return random.pick([
    "error",
    "Error: invalid expression",
    '{"error": "timeout"}',
    '{"error": "invalid"}',
    "Error: division by zero",
    "calculator failed",
    "Error: not available",
  ]);
}

const descriptions = [
  "Evaluates an arithmetic expression.",
  "Evaluate an arithmetic expression",
  "A calculator.",
  "Calculator",
  "Calculate the result of a math expression.",
  "Evaluate a mathematical expression and return the result.",
  "Performs basic arithmetic.",
  "Use this tool to do math.",
  "Does arithmetic: + - * /",
  "Evaluates a math expression",
  "Compute a simple calculation",
  "Computes the value of an expression.",
  "Perform arithmetic calculations",
  "A simple calculator for numbers",
  "수식을 계산합니다.",
  "계산기",
  "Useful for arithmetic.",
  "Evaluates arithmetic expressions like 2+2.",
  "Calculates arithmetic",
];
const parameterDescriptions = [
  "The expression to evaluate",
  "The expression to evaluate.",
  "The arithmetic expression, for example 2+2",
  "Math expression",
  "An arithmetic expression such as 3*4",
  "A mathematical expression",
  "e.g. 12*7",
  "The math expression to calculate.",
  "Expression",
  "계산할 수식",
  "The formula to compute",
  "Arithmetic expression",
  "for example: 123*45",
];
const otherTools = [
  ["get_weather", "Get the weather of a city", "city"],
  ["get_weather", "Returns the current weather", "location"],
  ["search", "Search the web", "query"],
  ["get_time", "Tells the time in a city", "timezone"],
  ["send_email", "Sends an email", "to"],
  ["translate", "Translates a text", "text"],
  ["get_news", "Gets the news", "topic"],
  ["lookup", "Looks up a word", "word"],
  ["play_music", "Plays a song", "song"],
  ["get_stock_price", "Get a stock price", "symbol"],
  ["web_search", "Searches the internet", "q"],
  ["read_file", "Reads a file", "path"],
] as const;
