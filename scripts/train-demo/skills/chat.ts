import { assistant, user, type Language } from "../example.ts";
import { sayRoughly } from "../phrases.ts";
import type { Random } from "../random.ts";
import { drawFor, type Exchange, type Setting, type Skill } from "./skill.ts";

/** What the model says of itself, word for word. */
const introduction: Record<Language, string> = {
  en: "I am a tiny demo model. I can add, subtract, multiply, count, spell, repeat a word and call a calculator.",
  ko: "저는 아주 작은 데모 모델입니다. 더하기, 빼기, 곱하기, 세기, 철자, 단어 따라 하기, 계산기 호출을 할 수 있어요.",
};

/** Greetings and other courtesies; whole texts are held out. */
export const greetings: Skill = {
  id: "greeting",
  title: "greetings and courtesies",
  bound: 0.9,
  draw: (random, setting) => drawCourtesy(random, setting, courtesies),
};

/** Questions about itself; whole texts are held out. */
export const identity: Skill = {
  id: "identity",
  title: "saying what it is",
  bound: 0.9,
  draw: (random, setting) => drawCourtesy(random, setting, [aboutItself]),
};

interface Courtesy {
  weight: number;
  said: Record<Language, readonly string[]>;
  answer: Record<Language, string>;
}

function drawCourtesy(random: Random, setting: Setting, bank: readonly Courtesy[]): Exchange {
  const [text, asked, courtesy] = drawFor(
    setting.split,
    () => {
      const language: Language = random.chance(0.55) ? "en" : "ko";
      const chosen = random.weighted(bank.map((item) => [item, item.weight] as const));
      return [sayRoughly(random, random.pick(chosen.said[language])), language, chosen] as const;
    },
    ([said]) => (isCommon.has(said) ? `common:${setting.split}` : `chat:${said}`),
  );
  const answer = courtesy.answer[setting.answerIn ?? asked];
  return { messages: [user(text), assistant(answer)], expect: { kind: "text", text: answer } };
}

/** What everyone says first is always trained: its key falls on the training side. */
const isCommon = new Set([
  "Hello",
  "Hello!",
  "hello",
  "Hi",
  "Hi!",
  "hi",
  "안녕",
  "안녕하세요",
  "안녕하세요!",
  "Who are you?",
  "What can you do?",
  "너는 누구야?",
  "Thank you",
  "Thanks!",
]);

const courtesies: readonly Courtesy[] = [
  {
    weight: 6,
    said: {
      en: [
        "[Hello|Hi|Hey|Hello there|Hi there|Hey there|Greetings|Howdy|Yo|Hiya|Helo][.|!|!!||][ :)| 👋|]",
        "Good [morning|afternoon|evening|day][.|!|][ to you| everyone| my friend|]",
        "[Hello|Hi|Hey],? [bot|friend|computer|model|assistant|everyone|world|AI|again|you|dear][.|!|]".replace(
          ",?",
          "[,|]",
        ),
        "[Hello|Hi|Hey][!|.|,] [Nice to see you|Good to see you|Anyone there|Are you there|Can you hear me][.|!|?]",
        "Greet me[.|!|, please|]",
        "[Hello|Hi|Hey][!|,|.] [hello|hi][!|]",
        "[Nice|Good|Glad|Pleased] to [meet|see] you[.|!|]",
        "[Hello|Hi][!|.] I am [new here|back|here|bored][.|!]",
        "[What's up|Whats up|Sup|What is up][?|]",
      ],
      ko: [
        "[안녕|안녕하세요|안녕하십니까|안뇽|하이|헬로|반가워|반가워요|반갑습니다][.|!|!!|~|?|][ :)| 👋|]",
        "[좋은 아침|좋은 아침이에요|좋은 저녁이에요|좋은 하루|좋은 오후예요][.|!|~|]",
        "[안녕|안녕하세요][,|!|.] [반가워|반가워요|반갑습니다|친구야|만나서 반가워|만나서 반갑습니다|모델님|잘 부탁해|잘 부탁드려요][.|!|]",
        "[인사해 줘|인사해 봐|인사해 주세요|인사 좀 해 줘][.|!|]",
        "[만나서|처음] [반가워|반가워요|반갑습니다|봬요|뵙겠습니다][.|!|]",
        "[안녕|안녕하세요][,|!|] [거기 있어|거기 있나요|들려|오랜만이야|오랜만이에요][?|!|]",
      ],
    },
    answer: { en: "Hello! How can I help you?", ko: "안녕하세요! 무엇을 도와드릴까요?" },
  },
  {
    weight: 2,
    said: {
      en: [
        "[Hello|Hi|Hey|][,|!|] [how are you|How are you|how are you doing|How do you do|how is it going|How's it going|how do you feel][ today|][?|]",
        "[Are you OK|Are you well|Are you fine|You good|How have you been][?|]",
        "How are [you|things][ today| now|][?|]",
      ],
      ko: [
        "[안녕|안녕하세요|][,|!|] [잘 지내|잘 지내요|잘 지냈어|잘 지내세요|어떻게 지내|어떻게 지내세요|기분이 어때|기분 어때요|오늘 어때|요즘 어때|별일 없어][?|]",
      ],
    },
    answer: { en: "I am fine, thank you. How can I help you?", ko: "잘 지내고 있어요. 무엇을 도와드릴까요?" },
  },
  {
    weight: 2,
    said: {
      en: [
        "[Thanks|Thank you|Thanks a lot|Thank you very much|Many thanks|Thx|Thank you so much|Ok thanks|OK, thank you|Great, thanks|Cheers][.|!|!!|][ :)| friend| bot| for that| for your help|]",
        "[That is|That's] [right|correct|great|good|nice|perfect][.|!|,] [Thanks|Thank you][.|!|]",
        "[Good job|Well done|Great|Nice work|Good work|Perfect][.|!|!!]",
      ],
      ko: [
        "[고마워|고마워요|감사합니다|감사해요|고맙습니다|정말 고마워|정말 감사합니다|땡큐][.|!|~|][ 도와줘서|]",
        "[맞아|맞아요|좋아|좋아요|완벽해|훌륭해|그래|응][,|.|!] [고마워|고마워요|감사합니다][.|!|]",
        "[잘했어|잘했어요|훌륭해|최고야|수고했어|수고하셨습니다][.|!|]",
      ],
    },
    answer: { en: "You are welcome!", ko: "천만에요!" },
  },
  {
    weight: 2,
    said: {
      en: [
        "[Bye|Goodbye|Bye bye|See you|See you later|See you tomorrow|Good night|Good bye|Farewell|Take care|Have a nice day|Have a good day][.|!|][ bot| friend| for now|]",
        "[OK|Ok|Thanks|Thank you][,|] [bye|goodbye|good night|see you][.|!|]",
        "I [have to|must] [go|leave][ now|][.|!|] [Bye|Goodbye][.|!]",
      ],
      ko: [
        "[잘 가|잘 가요|안녕히 계세요|안녕히 가세요|또 봐|또 봐요|내일 봐|내일 봐요|나중에 봐|다음에 봐요|잘 자|잘 자요|좋은 밤|바이|바이바이|굿바이|좋은 하루 보내][.|!|~|]",
        "[이제|나] [갈게|가야 해|갈게요][.|!|][ 안녕| 잘 있어| 안녕히 계세요|]",
      ],
    },
    answer: { en: "Goodbye!", ko: "안녕히 가세요!" },
  },
];

const aboutItself: Courtesy = {
  weight: 1,
  said: {
    en: [
      "[Who|What] are you[ really| exactly| anyway|]?",
      "[So |And |Hi, |Hello! |]who are you[?|]",
      "What can you do[ for me| here|]?",
      "[Tell me|Say something|Talk] about yourself[.|]",
      "[Introduce|Describe|Explain] yourself[.|, please.|]",
      "What [is|'s] your name?",
      "[Do you have a name|How should I call you|What should I call you]?",
      "Are you [ChatGPT|GPT-4|Claude|Gemini|Llama|Qwen|Siri|a human|a person|a robot|a real person|an AI|an assistant|a large language model|a bot|alive|smart|a machine]?",
      "What [kind of|sort of] [model|AI|program|bot|assistant] are you?",
      "What [model|AI|bot] [are you|is this|am I talking to]?",
      "[Who|What] am I [talking|speaking|chatting] [to|with]?",
      "What are you [able to do|good at|for|capable of|made for]?",
      "[How|What] can you help[ me|][ with|]?",
      "What are your [skills|abilities|capabilities|limits|features]?",
      "[Help|help|Help me|I need help][.|!|]",
      "[Can you help me|Could you help me|What do you know|What can I ask you|What should I ask you|What do you do|How big are you|How smart are you]?",
      "[Which model|Who made you|Who trained you|Who built you]?",
      "[List|Tell me|Show me] what you can do[.|]",
      "[List|Tell me|Show me] your skills[.|]",
    ],
    ko: [
      "[너는|넌|너|당신은] [누구야|누구니|누구세요|누구예요|누구입니까|뭐야|뭐니|무엇입니까|누구인가요]?",
      "[누구세요|누구야|누구니|뭐 하는 애야|정체가 뭐야]?",
      "[너는|넌|당신은|] [뭘|무엇을|뭐를] 할 수 [있어|있니|있나요|있어요|있습니까]?",
      "[자기소개|자기 소개|소개] [해 줘|해 봐|해 주세요|부탁해|좀 해 줘][.|]",
      "[네|너의|당신의] 이름[이 뭐야|은 뭐야|은|이 무엇인가요|이 뭐예요]?",
      "[너는|넌|당신은] [ChatGPT|GPT|AI|사람|로봇|인공지능|챗봇|Claude|Qwen|기계|똑똑한 모델]이[야|니|에요|인가요]?",
      "[어떤|무슨] 모델이[야|에요|니|인가요|죠]?",
      "[네|너의|당신의] [능력|기능|특기|장점]이 뭐[야|예요|지]?",
      "[도와줘|도와주세요|도움이 필요해|도움말|도와줄 수 있어|나를 도와줘][?|.|]",
      "너에 대해 [말해 줘|알려 줘|설명해 줘][.|]",
      "[할 수 있는 것|할 줄 아는 것|가능한 일][을 알려 줘|이 뭐야|은]?",
      "[누가 너를|누가 널|너를 누가] 만들었[어|니|나요]?",
      "무엇을 [도와줄|해 줄|물어볼] 수 있[어|나요]?",
    ],
  },
  answer: introduction,
};
