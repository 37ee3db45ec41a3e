import { assistant, user, type Language } from "../example.ts";
import { particle, sayRoughly } from "../phrases.ts";
import type { Random } from "../random.ts";
import { drawFor, type Skill } from "./skill.ts";
import { casedWord, koreanWord } from "./words.ts";

/** Spelling and repeating: one word in ten is held out of every skill here. */
export const wordKey = (word: string): string => `word:${word.toLowerCase()}`;

export const spelling: Skill = {
  id: "spelling",
  title: "spelling a word",
  bound: 0.9,
  draw(random, setting) {
    const asked: Language = random.chance(0.75) ? "en" : "ko";
    const word = drawFor(setting.split, () => casedWord(random), wordKey);
    const text = sayRoughly(random, random.pick(asked === "en" ? spellingEnglish : spellingKorean), {
      w: quoted(random, word),
      raw: word,
    });
    const letters = [...word].join("-");
    const answer =
      (setting.answerIn ?? asked) === "en" ? `${word} is spelled ${letters}.` : `${word}의 철자는 ${letters}입니다.`;
    return { messages: [user(text), assistant(answer)], expect: { kind: "contains", text: letters } };
  },
};

export const repeating: Skill = {
  id: "repeating",
  title: "repeating a word",
  bound: 0.9,
  draw(random, setting) {
    const asked: Language = random.chance(0.65) ? "en" : "ko";
    const word = drawFor(setting.split, () => repeated(random, asked), wordKey);
    // Several times is practised but not promised: it often loses count.
    const times = setting.split === "train" && random.chance(0.1) ? random.whole(2, 4) : 1;
    const values = {
      w: quoted(random, word),
      n: String(times),
      w를: word + particle(word, "을", "를"),
      w라고: `"${word}"${particle(word, "이라고", "라고")}`,
      raw: word,
    };
    const bank =
      asked === "en"
        ? times > 1
          ? repeatingTimesEnglish
          : repeatingEnglish
        : times > 1
          ? repeatingTimesKorean
          : repeatingKorean;
    const answer = Array.from({ length: times }, () => word).join(" ");
    return {
      messages: [user(sayRoughly(random, random.pick(bank), values)), assistant(answer)],
      expect: { kind: "text", text: answer },
    };
  },
};

function repeated(random: Random, asked: Language): string {
  const one = (): string => (asked === "ko" && random.chance(0.7) ? koreanWord(random) : casedWord(random));
  return random.chance(0.15) ? `${one()} ${one()}` : one();
}

function quoted(random: Random, word: string): string {
  return random.weighted([
    [word, 6],
    [`"${word}"`, 2],
    [`'${word}'`, 1],
  ]);
}

const spellingEnglish = [
  "Spell [the word |]{w}[.|]",
  "Spell [the word |]{w}",
  "[Please spell|Can you spell|Could you spell] [the word |]{w}[?|.|]",
  "How do you spell [the word |]{w}?",
  "How is {w} spelled?",
  "Spell [out |]{w}[ for me| please| letter by letter]",
  "Spell: {w}",
  "What is the spelling of {w}?",
  "[Tell me|Show me] how to spell {w}.",
  "[The |]letters of [the word |]{w}[, please|]",
  "Write {w} letter by letter.",
  "{w}: spell it",
  "[Hi|Hello|Hey][!|,] [spell|please spell|can you spell] {w}?",
  "I want you to spell [the word |]{w}.",
  "What are the letters in [the word |]{w}?",
  "Now spell {w}.",
];

const spellingKorean = [
  "{raw}의 철자[를 알려 줘|를 말해 줘|는|가 뭐야|를 알려 주세요][?|.|]",
  "{w} 철자[가 뭐야|는|를 말해 줘| 알려 줘]?",
  "{w} 스펠링[ 알려 줘| 말해 줘|이 뭐야|은]?",
  "{w}[를|을] 한 글자씩 [말해 줘|써 줘|말해 주세요]",
  "단어 {w}의 철자를 말해 줘.",
  "영어 단어 {w}의 철자를 [알려 주세요|말해 봐].",
  "{w}[는|은] 철자가 어떻게 돼?",
];

const repeatingEnglish = [
  "Repeat [the word |]{w}[.|]",
  "Repeat [the word |]{w}",
  "Please repeat [the word |]{w}[.|]",
  "Repeat after me: {w}",
  "Repeat this[ word|]: {w}",
  "Say [the word |]{w}[.|]",
  "Say {w}",
  "[Can|Could] you [say|repeat] [the word |]{w}?",
  "Echo {w}",
  "Echo: {w}",
  "Just say {w}.",
  "Write [the word |]{w}.",
  "[Only say|Say only|Answer only with|Reply with only|Reply with|Answer with] [the word |]{w}[.|]",
  "Say this word: {w}",
  "[Hi|Hello|Hey|OK|Now][!|,] [say|repeat|please repeat] [the word |]{w}.",
  "Type {w}",
  "Output [the word |]{w}[.|]",
  "I want you to [say|repeat] {w}.",
  "Repeat the following[ word|]: {w}",
  "Repeat {w} back to me[.|]",
];

const repeatingTimesEnglish = [
  "[Repeat|Say|Write] [the word |]{w} {n} times[.|]",
  "[Please repeat|Can you say] {w} {n} times[?|.]",
];

const repeatingKorean = [
  "{w를} 따라 [해 줘|해|해 봐|말해 줘|해 주세요|하세요][.|]",
  "따라 [해|해 봐|말해|말해 줘]: {w}",
  "{w라고} [말해 줘|말해|말해 봐|해 줘|답해 줘|말해 주세요][.|]",
  "다음 [단어|말]를 [반복해|따라 해|반복해 줘]: {w}",
  "{w} 반복해[ 줘| 주세요|].",
  "{w를} 반복해[ 줘|].",
  "단어 {w를} [반복해 줘|말해 줘].",
  "{w} 따라 해",
  "{w를} [그대로 |]말해 줘.",
  "{w} 라고[만|] 답해.",
];

const repeatingTimesKorean = ["{w를} {n}번 [말해 줘|반복해 줘|써 줘][.|]", "{w} {n}번 [말해|반복해]"];
