/** Against what transformers makes of the same templates (scripts/chat-template-fixtures.py). */
import { readFileSync } from "node:fs";
import { assert, describe, it } from "@effect/vitest";

import { parseExactJson } from "../../../../src/service/prompt/jinja/exact-json.ts";
import { Work } from "../../../../src/service/prompt/jinja/scope.ts";
import { str } from "../../../../src/service/prompt/jinja/python-text.ts";
import { compileTemplate } from "../../../../src/service/prompt/jinja/template.ts";
import { Callable, isDict, TemplateError, type Value } from "../../../../src/service/prompt/jinja/values.ts";
import { strftime } from "../../../../src/service/prompt/strftime.ts";

interface Question {
  readonly template: string;
  /** JSON text. */
  readonly names?: string;
  readonly text?: string;
  /** The kind of Python's exception. */
  readonly error?: string;
}

const file = new URL("../../../fixtures/chat-templates/jinja.json", import.meta.url);
const questions = JSON.parse(readFileSync(file, "utf8")) as ReadonlyArray<Question>;
const now = new Date("2026-11-27T09:05:03");

const given: ReadonlyArray<readonly [string, Value]> = [
  [
    "raise_exception",
    new Callable("raise_exception", ({ positional }) => {
      throw new TemplateError(str(positional[0] ?? ""));
    }),
  ],
  ["strftime_now", new Callable("strftime_now", ({ positional }) => strftime(now, str(positional[0] ?? "")))],
];

const render = ({ template, names = "{}" }: Question): string => {
  const values = parseExactJson(names);
  if (values === undefined || !isDict(values)) throw new Error("the names of a question are no JSON object");
  return compileTemplate(template).render([
    ...given,
    ...[...values].map(([name, value]) => [str(name), value] as const),
  ]);
};

describe("a template", () => {
  it.each(questions)("$template", (question) => {
    if (question.error === undefined) assert.strictEqual(render(question), question.text);
    else assert.throws(() => render(question), TemplateError);
  });
});

describe("work without end", () => {
  it.each([
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% set ns = namespace(x='xxxxxxxxxxxxxxxx') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ 'x' * 10 ** 9 }}",
    "{{ 10 ** (10 ** 7) }}",
    "{% set ns = namespace(x=[1, 2, 3, 4, 5, 6, 7, 8]) %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{{ 'x'|center(1000000000) }}{{ '%999999999d' % 1 }}",
  ])("is bounded: %s", (template) => {
    const started = performance.now();
    try {
      compileTemplate(template).render([], new Work(1_000_000));
      assert.fail("it was rendered");
    } catch (error) {
      // A template that calls itself exhausts the stack.
      assert.isTrue(error instanceof TemplateError || error instanceof RangeError, String(error));
    }
    assert.isBelow(performance.now() - started, 5000);
  });

  it("leaves ordinary work alone", () => {
    const template = compileTemplate("{% for a in range(1000) %}{{ a ~ 'x' }}{% endfor %}");
    assert.strictEqual(template.render([], new Work(1_000_000)), template.render([]));
  });
});
