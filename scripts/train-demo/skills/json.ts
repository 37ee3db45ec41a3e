import { assistant, user, writeJson, type Language } from "../example.ts";
import { sayRoughly } from "../phrases.ts";
import type { Random } from "../random.ts";
import { drawFor, type Exchange, type Skill, type Split } from "./skill.ts";
import { capital, englishWord, koreanWord } from "./words.ts";

type Field = [key: string, value: string | number | boolean];

/** A JSON object with one to three fields that the question names; sets of fields are held out whole. */
export const jsonObjects: Skill = {
  id: "json",
  title: "a JSON object on request",
  bound: 0.9,
  draw(random, { split }) {
    const asked: Language = random.chance(0.75) ? "en" : "ko";
    if (random.chance(0.08)) return drawAnswer(random, split, asked);
    const fields = drawFor(
      split,
      () => drawFields(random, asked),
      (drawn) => `json:${writeJson(drawn)}`,
    );
    const value = Object.fromEntries(fields);
    const text = sayRoughly(random, random.pick(asked === "en" ? english : korean), {
      list: asked === "en" ? listInEnglish(random, fields) : listInKorean(random, fields),
      object: writeObject(random, value),
    });
    return { messages: [user(text), assistant(writeJson(value))], expect: { kind: "json", value } };
  },
};

/** A result as JSON: `{"answer": 4}`. */
function drawAnswer(random: Random, split: Split, asked: Language): Exchange {
  const [left, right] = drawFor(
    split,
    () => [random.whole(0, 12), random.whole(0, 12)] as const,
    ([a, b]) => `json:${a}+${b}`,
  );
  const key = random.pick(["answer", "answer", "result", "sum"]);
  const sum = `${left}${random.pick(["+", " + ", " plus "])}${right}`;
  const text = sayRoughly(random, random.pick(asked === "en" ? sumsEnglish : sumsKorean), { e: sum, k: key });
  const value = { [key]: left + right };
  return { messages: [user(text), assistant(writeJson(value))], expect: { kind: "json", value } };
}

function drawFields(random: Random, language: Language): Field[] {
  const keys = random.shuffle(Object.keys(values)).slice(
    0,
    random.weighted([
      [1, 4],
      [2, 5],
      [3, 2],
    ]),
  );
  if (random.chance(0.25))
    return [
      ["name", someName(random, language)],
      ["age", random.whole(1, 99)],
    ];
  return keys
    .map((key): Field => {
      if (random.chance(0.1))
        return [englishWord(random), random.chance(0.5) ? random.whole(0, 99) : englishWord(random)];
      return [key, values[key]?.(random, language) ?? 0];
    })
    .filter(([key], index, all) => all.findIndex(([other]) => other === key) === index);
}

function someName(random: Random, language: Language): string {
  return language === "ko" ? koreanWord(random) : capital(englishWord(random));
}

const word = (random: Random, language: Language): string =>
  language === "ko" && random.chance(0.6) ? koreanWord(random) : englishWord(random);
const small = (random: Random): number => random.whole(0, 99);
const large = (random: Random): number => random.whole(0, random.chance(0.5) ? 999 : 9999);
const flag = (random: Random): boolean => random.chance(0.5);
const values: Record<string, (random: Random, language: Language) => string | number | boolean> = {
  name: someName,
  age: small,
  city: someName,
  country: someName,
  color: word,
  animal: word,
  fruit: word,
  title: word,
  food: word,
  word,
  id: large,
  count: small,
  price: large,
  answer: small,
  result: small,
  score: small,
  year: (random) => random.whole(1900, 2030),
  level: small,
  size: small,
  active: flag,
  ok: flag,
  done: flag,
  status: word,
  type: word,
  message: word,
  user: someName,
  number: large,
  value: large,
  x: small,
  y: small,
  key: word,
  language: word,
  day: word,
  total: large,
};

const english = [
  "[Give me|Write|Make|Create|Return|Generate|Show me|Produce] a JSON [object|] with {list}[.|]",
  "[Please |][give|write|return] [me |]a JSON object with {list}.",
  "[Can|Could] you [give me|write|make] a JSON object with {list}?",
  "A JSON object with {list}[, please|.]",
  "JSON [object |]with {list}[.|]",
  "[Answer|Reply|Respond] [in|with|as|only with|only in] JSON[:|.] {list}",
  "JSON: {list}",
  "{list} as [a |]JSON[ object|][.|]",
  "Reply in JSON with {list}.",
  "[Reply|Answer|Respond] [with|in] [this |]JSON: {object}",
  "[Return|Repeat] [this|the] JSON[ object|]: {object}",
  "[Give me|Return] [only |]the JSON object {object}",
  "[Write|Put] {list} [in|into|as] [a |]JSON[ object|].",
  "[I need|I want] a JSON object with {list}.",
  "[Hi|Hello][!|,] give me a JSON object with {list}.",
  "Return only JSON with {list}. No other text.",
  "Make JSON from this: {list}",
];
const korean = [
  "{list} JSON 객체를 [줘|만들어 줘|써 줘|출력해 줘|만들어 주세요|주세요][.|]",
  "{list} JSON[을|] [줘|만들어 줘|써 줘|만들어 주세요]",
  "JSON으로 [답해|답해 줘|써 줘|만들어 줘]: {object}",
  "JSON 객체를 만들어 줘: {list}",
  "이 JSON을 [그대로 |][출력해|반복해|써] 줘: {object}",
  "JSON으로만 답해. {object}",
];

const sumsEnglish = [
  'What is {e}? [Answer|Reply|Respond] [in|as|with] JSON with the key ["{k}"|{k}].',
  '[Answer|Reply] [in|as] JSON with [the key|a key|a field] ["{k}"|{k}][:|.] [What is|] {e}?',
  '[Give me|Return] a JSON object with ["{k}"|{k}] set to {e}.',
  '[Return|Reply with|Answer with] JSON [like|such as] {"{k}": 0}[:|.] What is {e}?',
];
const sumsKorean = [
  "{e}를 계산해서 {k} 키를 가진 JSON으로 답해[ 줘|].",
  'JSON으로 답해. 키는 "{k}". {e}는?',
  "{e}의 결과를 {k}에 넣은 JSON 객체를 줘.",
];

function listInEnglish(random: Random, fields: readonly Field[]): string {
  const form = random.pick([
    "{k} {v}",
    "{k} {v}",
    "{k} {v}",
    "{k}: {v}",
    "{k} = {v}",
    "{k} equal to {v}",
    "{k} set to {v}",
    "the {k} {v}",
    '"{k}": {v}',
    "{k}={v}",
    "key {k} and value {v}",
    '"{k}" {v}',
    "{k} is {v}",
  ]);
  const quote = random.weighted([
    ['"', 6],
    ["", 3],
    ["'", 2],
  ]);
  const parts = fields.map(([key, value]) =>
    form.replace("{k}", key).replace("{v}", () => (typeof value === "string" ? quote + value + quote : String(value))),
  );
  const lead = random.chance(0.12) ? random.pick(["the fields ", "the keys ", "these fields: "]) : "";
  const last = parts.pop() ?? "";
  const joint = form.startsWith("key") ? "; " : random.pick([" and ", " and ", " and ", ", "]);
  return lead + (parts.length > 0 ? parts.join(", ") + joint + last : last);
}

function listInKorean(random: Random, fields: readonly Field[]): string {
  const quote = random.weighted([
    ['"', 6],
    ["", 3],
  ]);
  const show = (value: Field[1]): string => (typeof value === "string" ? quote + value + quote : String(value));
  const [subject, ending] = random.pick([
    ["이", "인"],
    ["가", "인"],
    ["은", "인"],
    ["는", "인"],
  ] as const);
  return fields
    .map(([key, value], index) => `${key}${subject} ${show(value)}${index === fields.length - 1 ? ending : "이고"}`)
    .join(random.pick([" ", ", "]));
}

function writeObject(random: Random, value: Record<string, unknown>): string {
  return random.chance(0.3) ? JSON.stringify(value) : writeJson(value);
}
