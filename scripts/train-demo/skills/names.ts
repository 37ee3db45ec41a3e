import { assistant, user, type Language } from "../example.ts";
import { particle, sayRoughly } from "../phrases.ts";
import type { Random } from "../random.ts";
import { drawFor, type Exchange, type Setting, type Skill } from "./skill.ts";
import { capital, englishWord } from "./words.ts";

/** Remembering a name across turns: one name in ten is never seen in training. */
export const names: Skill = {
  id: "names",
  title: "remembering a name across turns",
  bound: 0.9,
  draw(random, setting) {
    if (setting.userName !== undefined) return askName(random, setting, setting.userName);
    if (setting.split === "train") return random.chance(0.75) ? giveName(random, setting) : askUnknown(random, setting);
    const given = giveName(random, setting);
    const asked = askName(random, setting, given.userName ?? "");
    return { messages: [...given.messages, ...asked.messages], expect: asked.expect };
  },
};

function giveName(random: Random, setting: Setting): Exchange & { userName?: string } {
  const asked: Language = random.chance(0.6) ? "en" : "ko";
  const name = drawFor(
    setting.split,
    () => drawName(random, asked),
    (drawn) => `name:${drawn.toLowerCase()}`,
  );
  const values = {
    n: name,
    n야: name + particle(name, "이야", "야"),
    n이라고: name + particle(name, "이라고", "라고"),
    n이에요: name + particle(name, "이에요", "예요"),
  };
  const text = sayRoughly(random, random.pick(asked === "en" ? givingEnglish : givingKorean), values);
  const answer = (setting.answerIn ?? asked) === "en" ? `Nice to meet you, ${name}!` : `만나서 반가워요, ${name} 님!`;
  return { messages: [user(text), assistant(answer)], expect: { kind: "contains", text: name }, userName: name };
}

function askName(random: Random, setting: Setting, name: string): Exchange {
  const asked: Language = random.chance(/[가-힣]/.test(name) ? 0.1 : 0.85) ? "en" : "ko";
  const text = sayRoughly(random, random.pick(asked === "en" ? askingEnglish : askingKorean));
  const answer = (setting.answerIn ?? asked) === "en" ? `Your name is ${name}.` : `당신의 이름은 ${name}입니다.`;
  return { messages: [user(text), assistant(answer)], expect: { kind: "contains", text: name } };
}

function askUnknown(random: Random, setting: Setting): Exchange {
  const asked: Language = random.chance(0.6) ? "en" : "ko";
  const text = sayRoughly(random, random.pick(asked === "en" ? askingEnglish : askingKorean));
  const answer =
    (setting.answerIn ?? asked) === "en" ? "You have not told me your name yet." : "아직 이름을 알려 주지 않았어요.";
  return { messages: [user(text), assistant(answer)], expect: { kind: "text", text: answer } };
}

function drawName(random: Random, language: Language): string {
  if (language === "en") {
    const name = random.chance(0.6) ? random.pick(english) : capital(englishWord(random));
    return random.chance(0.08) ? name.toLowerCase() : name;
  }
  if (random.chance(0.15)) return random.pick(english);
  const given = random.pick(syllables) + random.pick(syllables);
  return random.chance(0.25) ? random.pick(families) + given : given;
}

const givingEnglish = [
  "[My name is|my name's|My name is|I am|I'm|Call me|You can call me|Please call me] {n}[.|!|]",
  "[Hi|Hello|Hey][!|,|.] [My name is|my name is|I am|I'm|this is] {n}[.|!|]",
  "The name is {n}.",
  "[My name is|I am|I'm] {n}[.|,] [Nice to meet you|Remember it|Please remember my name|Please remember that|Remember that|What is your name|How are you][.|!|?]",
  "Remember my name: {n}.",
  "My name is {n}. [Please r|R]emember [it|that|this].",
  "People call me {n}.",
  "{n} is my name.",
  "[My name is|I am|I'm] {n} [and|,] I [like|love|live in|come from|work with] [tea|cats|music|Seoul|Paris|trees|computers|books][.|!|]",
  "[I'm|I am] {n} from [Seoul|Paris|London|Busan|Berlin|Mars][.|]",
  "[Hi|Hello][,|!] [I'm|I am|my name is] {n}[,|.] [nice|pleased|good] to meet you[.|!|]",
  "[Please |]remember that my name is {n}[.|]",
];
const askingEnglish = [
  "What is my name?",
  "What's my name?",
  "what is my name",
  "[Do you|Can you] [remember|know|recall|tell me] my name?",
  "Who am I?",
  "[Tell me|Say] my name[.|]",
  "[Please tell me|Can you tell me] what my name is[.|?]",
  "What am I called?",
  "What did I say my name [was|is]?",
  "Do you know who I am?",
  "[So|And|Now|OK|Then][,|] what is my name?",
  "What was my name[ again|]?",
  "My name is?",
  "What name did I [tell|give] you?",
  "Do you still remember my name?",
];
const givingKorean = [
  "[내|제] 이름은 {n야}[.|]",
  "[내|제] 이름은 {n}입니다[.|]",
  "제 이름은 {n이에요}[.|]",
  "나는 {n야}[.|]",
  "저는 {n}입니다[.|]",
  "저는 {n이에요}[.|]",
  "[안녕|안녕하세요][!|.|,] [저는|제 이름은] {n}입니다[.|]",
  "[나를|날] {n이라고} 불러[ 줘|].",
  "[저를 |]{n이라고} 불러 [주세요|줘].",
  "안녕[!|,|.] [나는|난|내 이름은] {n야}[.|!|]",
  "[내|제] 이름은 {n}[.|]",
  "내 이름은 {n야}. 기억해[ 줘|].",
  "제 이름은 {n}입니다. 기억해 주세요.",
  "내 이름은 {n이라고} 해[.|]",
  "[안녕|안녕하세요][.|!|,] [서울|부산|학교|회사]에서 온 {n}입니다[.|]",
  "[저는|나는] [고양이를|음악을|책을|차를] 좋아하는 [{n}입니다|{n야}][.|]",
];
const askingKorean = [
  "[내|제] 이름이 [뭐야|뭐예요|뭐지|뭐였지|뭐라고 했지|무엇인가요|무엇입니까|뭔가요]?",
  "[내|제] 이름은?",
  "[내|제] 이름[을|] [기억해|알아|말해 봐|말해 줘|기억하세요|아세요|알려 줘]?",
  "[나는|내가|제가] 누구[야|지|예요|게]?",
  "[그럼|그래서|이제] [내|제] 이름이 [뭐야|뭐예요|뭐라고]?",
  "내 이름 뭐야",
];

const english =
  `Mina Tom Anna Ben Clara David Emma Frank Grace Henry Iris Jack Kate Leo Maria Nina Oscar Paul Quinn Rosa Sam Tina Uma Victor Wendy Xavier Yuna Zoe Alice Bob Charlie Daniel Eva
Felix George Hannah Ivan Julia Kevin Lisa Max Nora Oliver Peter Rachel Sophie Thomas Ursula Vera William Yan Zack Adam Bella Chris Diana Eric Fiona Gina Hugo Isabel James Karen Lucas Martin Nathan Olivia
Patrick Rebecca Sarah Theo Valerie Walter Alex Brian Cathy Derek Elena Fred Gloria Harry Ian Jenny Kyle Laura Michael Nicole Owen Pam Robert Susan Tracy Vincent Amy John Mary Jane Minji Jisoo Hana Yuki
Kenji Wei Li Ming Raj Priya Omar Fatima Ali Sofia Diego Carlos Lucia Pierre Marie Hans Greta Olga Dmitri Ingrid Lars Aisha Kofi Noah Liam Mia Ava Ella Ethan Mason Logan Luna Aria`.split(
    /\s+/,
  );
const syllables = [
  ..."민서지수현우준영희진호성은혜미정아연유나경주하윤재석동원태훈규상철순자숙선화라린소예빈채은율도건시온환기범찬승용",
];
const families = [..."김이박최정강조윤장임한오서신권황안송류홍"];
