import type { Language } from "../example.ts";
import { particle, sayRoughly } from "../phrases.ts";
import type { Random } from "../random.ts";

export type Operation = "+" | "-" | "*" | "/";

export interface Sum {
  left: number;
  operation: Operation;
  right: number;
}

export interface Question {
  text: string;
  /** The pattern it was written from; with the numbers it tells one question from another. */
  pattern: string;
  language: Language;
  style: "sentence" | "number";
}

/** Asks for a result in one of very many ways; the answer's language is asked for or follows the question. */
export function askFor(random: Random, sum: Sum, language: Language, numberOnly = 0.08): Question {
  const pattern = language === "en" ? random.pick(englishPatterns(sum)) : random.pick(koreanPatterns(sum));
  const style = random.chance(numberOnly) ? "number" : "sentence";
  const [wrapped, answerLanguage] = wrap(random, pattern, language, style);
  const text = sayRoughly(random, wrapped, operands(random, sum, language));
  return { text, pattern, language: answerLanguage, style };
}

export function answerTo(question: Pick<Question, "language" | "style">, sum: Sum, result: string): string {
  if (question.style === "number") return result;
  const expression = `${sum.left} ${{ "+": "+", "-": "-", "*": "×", "/": "÷" }[sum.operation]} ${sum.right}`;
  if (question.language === "en") return `${expression} is ${result}.`;
  return `${expression}${particle(sum.right, "은", "는")} ${result}입니다.`;
}

const general = [
  "[What is|What is|What's|what is|whats|How much is] {e}?",
  "[What is|what's] {e}",
  "{e}",
  "{e}?",
  "{e}=",
  "{e}=?",
  "{e} = ?",
  "{e} =",
  "[Calculate|Compute|Work out|Solve|Evaluate|Find|Do] {e}.",
  "[Calculate|Compute|Solve|Please calculate|Please compute] {e}",
  "[Calculate|Compute|Solve]: {e}",
  "[Tell me|Please tell me|Just tell me] what {e} is.",
  "[Tell me|Give me] the [answer to|result of|value of] {e}.",
  "What [is|'s] the [answer to|result of|value of] {e}?",
  "What does {e} [equal|make|give|come to]?",
  "{e} equals [what|?]",
  "{e} is [what|how much]?",
  "[Can|Could] you [please |][tell me what {e} is|calculate {e}|compute {e}|work out {e}|solve {e}][ for me|]?",
  "[Do you know|I need to know|I want to know] what {e} is[.|?]",
  "[I need|Give me|I want] {e}[, please|].",
  "How much [is|does] {e}[ make|]?",
  "[Use a calculator|Use the calculator|Use your calculator|Use the tool]: {e}",
  "[Use a calculator to|Use the calculator to|Use the tool to] [work out|compute|find] {e}.",
];

function englishPatterns({ left, operation, right }: Sum): readonly string[] {
  switch (operation) {
    case "+":
      return [
        ...general,
        ...general,
        "[Add|Please add|Can you add|Sum] {a} and {b}[.|?|]",
        "What is the sum of {a} and {b}?",
        "[The |]sum of {a} and {b}",
        "Add {b} to {a}.",
        "What do you get [if you add|when you add] {a} and {b}?",
        "What is {a} added to {b}?",
        "How much is {a} and {b} together?",
      ];
    case "-":
      return [
        ...general,
        ...general,
        "[Subtract|Please subtract|Can you subtract] {b} from {a}[.|?|]",
        "Take {b} away from {a}.",
        "What is {a} take away {b}?",
        "What do you get when you subtract {b} from {a}?",
        "What is {b} less than {a}?",
        ...(left >= right ? ["What is the difference between {a} and {b}?", "[The |]difference of {a} and {b}"] : []),
      ];
    case "*":
      return [
        ...general,
        ...general,
        "[Multiply|Please multiply|Can you multiply] {a} [by|and|with] {b}[.|?|]",
        "What is the product of {a} and {b}?",
        "[The |]product of {a} and {b}",
        "What is {a} multiplied by {b}?",
        "What do you get when you multiply {a} by {b}?",
      ];
    case "/":
      return [...general, "[Divide|Please divide] {a} by {b}[.|]", "What is {a} divided by {b}?"];
  }
}

const koreanGeneral = [
  "{e는}?",
  "{e는}?",
  "{e는}",
  "{e는} [얼마야|얼마예요|얼마입니까|얼마인가요|얼마지|얼마죠|몇이야|몇이에요|몇인가요|몇입니까|뭐야|뭐예요|뭔가요|무엇인가요|무엇입니까]?",
  "{e} [은|는] [얼마야|뭐야|몇이야]?",
  // Signs alone, as in "2+2", are answered in English.
  "{k}",
  "{k}?",
  "[한국어로 답해|한 문장으로 답해|한국어로 한 문장만 답해|한국어로 답해 줘][.|:] {e}[=|?|=?|]",
  "{e} [계산해 줘|계산해줘|계산해 주세요|계산해 봐|계산|계산해|계산 부탁해요|풀어 줘|알려 줘|알려줘|알려 주세요]",
  "{e}[를|을] [계산해 줘|계산해 주세요|계산하면|알려 줘]",
  "{e}의 [값|답|결과][은|는|을 알려 줘|을 말해 줘|이 뭐야]?",
  "{e} [얼마야|몇이야|답이 뭐야|값은|답은|결과는]?",
  "[계산기로|계산기를 써서|도구를 써서] {e} 계산해 줘",
];

function koreanPatterns({ left, operation, right }: Sum): readonly string[] {
  const asks = "[얼마야|얼마예요|얼마입니까|몇이야|몇이 돼|몇인가요|뭐야|무엇인가요|]";
  switch (operation) {
    case "+":
      return [
        ...koreanGeneral,
        `{a와} {b를} 더하면 ${asks}?`,
        `{a에} {b를} 더하면 ${asks}?`,
        `{a}[이랑|하고] {b} 더하면 ${asks}?`,
        "{a와} {b의} 합은[ 얼마야| 뭐야|]?",
        "{a와} {b를} 더해 [줘|주세요|봐]",
      ];
    case "-":
      return [
        ...koreanGeneral,
        `{a에서} {b를} 빼면 ${asks}?`,
        "{a에서} {b를} 빼 [줘|주세요|봐]",
        ...(left >= right ? ["{a와} {b의} 차는[ 얼마야| 뭐야|]?"] : []),
      ];
    case "*":
      return [
        ...koreanGeneral,
        `{a에} {b를} 곱하면 ${asks}?`,
        `{a와} {b를} 곱하면 ${asks}?`,
        "{a와} {b의} 곱은[ 얼마야| 뭐야|]?",
        "{a와} {b를} 곱해 [줘|주세요|봐]",
      ];
    case "/":
      return [...koreanGeneral, `{a를} {b로} 나누면 ${asks}?`];
  }
}

/** Adds what surrounds a question: a greeting, the wish for one sentence, for only the number, for a language. */
function wrap(random: Random, pattern: string, language: Language, style: Question["style"]): [string, Language] {
  if (style === "number") {
    const english = random.pick([
      `${pattern} [Answer|Reply] with [only|just] the number.`,
      `${pattern} [Only|Just] the number[, please|].`,
      `${pattern} Give only the result.`,
      `[Answer|Reply] with [only|just] the number[:|.] ${pattern}`,
      `${pattern} Number only.`,
    ]);
    const korean = random.pick([
      `${pattern} 숫자만 [답해|답해 줘|말해|말해 줘|알려 줘].`,
      `숫자만 [답해|답해 줘|말해 줘]. ${pattern}`,
      `${pattern} 답만 [말해|알려 줘].`,
    ]);
    return [language === "en" ? english : korean, language];
  }
  if (random.chance(0.45)) return [pattern, language];
  if (language === "en") {
    if (random.chance(0.12))
      return [
        random.pick([
          `Answer in Korean[:|.] ${pattern}`,
          `${pattern} Answer in Korean.`,
          `Reply in Korean: ${pattern}`,
          `한국어로 답해. ${pattern}`,
        ]),
        "ko",
      ];
    return [
      random.pick([
        `${pattern} [Answer|Reply] in [one|a single] [short |]sentence.`,
        `[Answer|Reply] in one [short |]sentence[:|.] ${pattern}`,
        `${pattern} [Please|Thanks|Thank you|Be brief|Quickly].`,
        `[Hi|Hello|Hey][!|,|.] ${pattern}`,
        `[Please|OK|Now|And|Then|So][,|] ${pattern}`,
        `[Question|Quick question|Math question|Another one|Next][:|.] ${pattern}`,
        `Answer in English[:|.] ${pattern}`,
        `In one sentence, ${pattern}`,
        `Answer briefly. ${pattern}`,
        `${pattern} Answer in English.`,
        `Please answer this: ${pattern}`,
      ]),
      "en",
    ];
  }
  if (random.chance(0.06)) return [random.pick([`영어로 답해[ 줘|]. ${pattern}`, `${pattern} 영어로 답해 줘.`]), "en"];
  return [
    random.pick([
      `한국어로 한 문장만 답해. ${pattern}`,
      `한국어로 한 문장만 답해. ${pattern}`,
      `한국어로 한 문장으로 [답해|답해 줘|대답해 줘]. ${pattern}`,
      `한 문장으로 [답해|답해 줘|대답해|말해 줘]. ${pattern}`,
      `한국어로 [답해|답해 줘|대답해 줘|말해 줘]. ${pattern}`,
      `[짧게|간단히|간단하게] [답해|답해 줘|말해 줘]. ${pattern}`,
      `한 문장만 [답해|말해]. ${pattern}`,
      `질문: ${pattern}`,
      `[안녕|안녕하세요][!|.|,] ${pattern}`,
      `[그럼|그러면|이제|자,|다음 문제:] ${pattern}`,
      `한국어로: ${pattern}`,
      `${pattern} 한 문장으로 [답해|말해 줘].`,
      `${pattern} 한국어로 [답해|답해 줘|답해 주세요].`,
      `${pattern} 한국어로 한 문장만 답해.`,
      `${pattern} 부탁해[|요].`,
    ]),
    "ko",
  ];
}

function operands(random: Random, { left, operation, right }: Sum, language: Language): Record<string, string> {
  const a = inWords(random, left, language);
  const b = a === String(left) ? String(right) : inWords(random, right, language, true);
  const expression = a + random.pick(signs[language][operation]) + b;
  const josa = (word: string, value: number, afterConsonant: string, afterVowel: string): string =>
    word +
    (random.chance(0.05) ? random.pick([afterConsonant, afterVowel]) : particle(value, afterConsonant, afterVowel));
  return {
    a,
    b,
    e: expression,
    k: a + random.pick([` ${koreanSigns[operation]} `, koreanSigns[operation]]) + b,
    e는: josa(expression, right, "은", "는"),
    a와: josa(a, left, "과", "와"),
    a를: josa(a, left, "을", "를"),
    b를: josa(b, right, "을", "를"),
    b로: `${b}${random.pick(["로", "으로"])}`,
    a에: `${a}에`,
    a에서: `${a}에서`,
    b의: `${b}의`,
  };
}

const koreanSigns: Record<Operation, string> = { "+": "더하기", "-": "빼기", "*": "곱하기", "/": "나누기" };

const signs: Record<Language, Record<Operation, readonly string[]>> = {
  en: {
    "+": ["+", "+", " + ", " + ", " + ", " plus ", " plus ", " +", "+ "],
    "-": ["-", "-", " - ", " - ", " - ", " minus ", " minus ", " −", " − ", "- "],
    "*": ["*", "*", " * ", " * ", " x ", " x ", "x", " × ", "×", " times ", " times ", " multiplied by ", " X "],
    "/": ["/", " / ", " ÷ ", "÷", " divided by ", " over "],
  },
  ko: {
    "+": ["+", "+", " + ", " + ", " 더하기 ", " 더하기 ", "더하기", " 플러스 "],
    "-": ["-", "-", " - ", " - ", " 빼기 ", " 빼기 ", "빼기", " 마이너스 "],
    "*": ["*", " * ", "x", " x ", "×", " × ", " 곱하기 ", " 곱하기 ", "곱하기"],
    "/": ["/", " / ", " ÷ ", "÷", " 나누기 "],
  },
};

const englishNumbers = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
  "thirteen",
  "fourteen",
  "fifteen",
  "sixteen",
  "seventeen",
  "eighteen",
  "nineteen",
  "twenty",
];

/** Now and then a small number is written as an English word. */
function inWords(random: Random, value: number, language: Language, always = false): string {
  const word = language === "en" ? englishNumbers[value] : undefined;
  return word !== undefined && (always || random.chance(0.06)) ? word : String(value);
}
