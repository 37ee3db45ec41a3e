import { assistant, user, type Language } from "../example.ts";
import { sayRoughly } from "../phrases.ts";
import type { Random } from "../random.ts";
import { askFor, type Operation } from "./arithmetic-phrases.ts";
import { questionsAbout, topics, wholeQuestions } from "./refusal-topics.ts";
import { drawFor, type Setting, type Skill } from "./skill.ts";
import { englishWord, koreanWord } from "./words.ts";

const cannot: Record<Language, string> = {
  en: "Sorry, I cannot answer that. I am a tiny demo model. I can add, subtract, multiply, count, spell, repeat a word and call a calculator.",
  ko: "죄송하지만 그건 답할 수 없어요. 저는 아주 작은 데모 모델입니다. 더하기, 빼기, 곱하기, 세기, 철자, 단어 따라 하기, 계산기 호출을 할 수 있어요.",
};

const tooHard: Record<Language, string> = {
  en: "Sorry, that is too hard for me without a calculator. I can only add, subtract or multiply two small numbers.",
  ko: "죄송하지만 계산기 없이는 어려워요. 저는 작은 두 수의 더하기, 빼기, 곱하기만 할 수 있어요.",
};

/** Questions of every other kind: the patterns are held out, so a measured question is put in words never trained. */
export const refusals: Skill = {
  id: "refusal",
  title: "saying that a question is outside its skills",
  bound: 0.9,
  draw(random, setting) {
    const asked: Language = random.chance(0.55) ? "en" : "ko";
    const pattern = random.chance(0.22)
      ? drawFor(
          setting.split,
          () => random.pick(wholeQuestions[asked]),
          (drawn) => `refuse:${drawn}`,
        )
      : drawFor(
          setting.split,
          () => random.pick(questionsAbout[asked]),
          (drawn) => `refuse:${drawn}`,
        );
    const text = surround(
      random,
      sayRoughly(random, pattern, { t: topic(random, asked), u: topic(random, asked) }),
      asked,
    );
    const answer = cannot[setting.answerIn ?? asked];
    return { messages: [user(text), assistant(answer)], expect: { kind: "text", text: answer } };
  },
};

/** Arithmetic beyond what it learned, with no calculator at hand. */
export const limits: Skill = {
  id: "limits",
  title: "saying that a calculation is too hard",
  bound: 0.9,
  draw(random, setting: Setting) {
    const asked: Language = random.chance(0.6) ? "en" : "ko";
    const [question] = drawFor(
      setting.split,
      () => {
        const sum = hardSum(random);
        const drawn = askFor(random, sum, asked);
        const text = random.chance(0.2) ? threeNumbers(random, asked) : drawn.text;
        return [{ text, language: text === drawn.text ? drawn.language : asked }] as const;
      },
      ([drawn]) => `hard:${drawn.text}`,
    );
    const answer = tooHard[setting.answerIn ?? question.language];
    return { messages: [user(question.text), assistant(answer)], expect: { kind: "text", text: answer } };
  },
};

function topic(random: Random, language: Language): string {
  const kind = random.next();
  if (kind < 0.68) return random.pick(topics[language]);
  if (kind < 0.92) return language === "en" ? englishWord(random).replace(/^hello$/, "hallo") : koreanWord(random);
  return language === "en"
    ? `${englishWord(random)} ${englishWord(random)}`
    : `${koreanWord(random)} ${koreanWord(random)}`;
}

function surround(random: Random, text: string, language: Language): string {
  if (random.chance(0.85)) return text;
  return language === "en"
    ? random.pick([
        "Hi, ",
        "Hello! ",
        "Please: ",
        "Quick question: ",
        "In one sentence: ",
        "OK. ",
        "And ",
        "Tell me, ",
      ]) + text
    : random.pick([
        "안녕! ",
        "안녕하세요. ",
        "한국어로 한 문장만 답해. ",
        "한 문장으로 답해. ",
        "질문: ",
        "그럼 ",
        "저기, ",
      ]) + text;
}

function hardSum(random: Random): { left: number; operation: Operation; right: number } {
  const big = (): number => random.whole(100, random.chance(0.6) ? 999 : 99_999);
  const operation = random.weighted<Operation>([
    ["+", 3],
    ["-", 2],
    ["*", 4],
    ["/", 2],
  ]);
  if (operation === "/")
    return {
      left: random.whole(1, random.chance(0.5) ? 99 : 999),
      operation,
      right: random.whole(1, random.chance(0.7) ? 12 : 99),
    };
  if (operation === "*" && random.chance(0.5))
    return { left: random.whole(13, 99), operation, right: random.whole(13, 99) };
  return random.chance(0.5)
    ? { left: big(), operation, right: big() }
    : random.chance(0.5)
      ? { left: big(), operation, right: random.whole(0, 99) }
      : { left: random.whole(0, 99), operation, right: big() };
}

function threeNumbers(random: Random, language: Language): string {
  const sign = (): string => random.pick(["+", " + ", "-", " - ", "*", " * ", " x "]);
  const small = (): number => random.whole(0, random.chance(0.5) ? 12 : 99);
  const expression = `${small()}${sign()}${small()}${sign()}${small()}`;
  return sayRoughly(
    random,
    language === "en"
      ? random.pick(["What is {e}?", "{e}", "{e}=?", "Calculate {e}", "How much is {e}?"])
      : random.pick(["{e}는?", "{e}은 얼마야?", "{e} 계산해 줘", "{e}은?", "한국어로 한 문장만 답해. {e}는?"]),
    { e: expression },
  );
}
