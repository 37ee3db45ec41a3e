import type { Random } from "../random.ts";

const common =
  `apple banana cherry orange grape lemon melon peach plum berry bread butter cheese sugar honey water juice coffee milk rice
cat dog bird fish horse mouse tiger lion bear wolf fox rabbit sheep goat cow pig duck chicken monkey elephant giraffe zebra camel panda
house door window table chair floor roof kitchen garden street bridge tower castle school office market station hospital library museum
red blue green yellow purple black white brown pink silver gold color
sun moon star cloud rain snow wind storm river ocean mountain valley forest desert island beach field flower tree leaf grass stone sand
hand foot head heart finger shoulder knee nose mouth tooth hair skin blood bone
book paper pencil letter story poem music song dance guitar piano violin drum picture camera movie theater
car train plane boat bicycle truck engine wheel road ticket travel journey
morning evening night winter summer spring autumn monday friday sunday january march june october minute hour week month year
happy sad angry brave clever quiet strong gentle simple perfect famous strange modern ancient beautiful wonderful important different
run walk jump swim climb write read speak listen think learn teach build break open close begin finish remember forget
computer keyboard network server window program language number system data code model token robot science physics chemistry biology
doctor teacher farmer driver singer painter engineer student friend family mother father sister brother child uncle cousin
king queen prince knight soldier captain pirate wizard dragon ghost
hello world test example sample question answer problem result value word name place thing idea dream hope love peace
business company money price market customer product service quality government history culture society nature energy
rhythm psychology necessary separate definitely receive believe weird tomorrow beginning restaurant chocolate calendar knowledge
umbrella telephone television newspaper dictionary vegetable breakfast dinner lunch potato tomato onion carrot pepper salt
jacket shirt shoes dress hat glove pocket button zipper cotton leather metal plastic wooden glass mirror candle lamp clock
football tennis soccer baseball hockey golf chess puzzle game player winner team goal race
quick lazy brown jumps over zoo jazz quiz fizz buzz xylophone yacht igloo kayak vivid wax oxygen`.split(/\s+/);

const onsets = [
  "b",
  "c",
  "d",
  "f",
  "g",
  "h",
  "j",
  "k",
  "l",
  "m",
  "n",
  "p",
  "r",
  "s",
  "t",
  "v",
  "w",
  "y",
  "z",
  "bl",
  "br",
  "ch",
  "cl",
  "cr",
  "dr",
  "fl",
  "gr",
  "pl",
  "pr",
  "qu",
  "sh",
  "sl",
  "sp",
  "st",
  "th",
  "tr",
  "",
];
const vowels = ["a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ea", "ee", "oo", "ou", "y"];
const codas = ["", "", "", "n", "r", "s", "t", "l", "m", "d", "ck", "ng", "nd", "st", "x", "ll", "p", "ght", "b", "g"];

/** An English word, or something that could be one, or now and then only letters. */
export function englishWord(random: Random): string {
  if (random.chance(0.4)) return random.pick(common);
  if (random.chance(0.06))
    return Array.from({ length: random.whole(2, 7) }, () => random.pick([..."abcdefghijklmnopqrstuvwxyz"])).join("");
  return (
    Array.from(
      {
        length: random.weighted([
          [1, 4],
          [2, 5],
          [3, 1],
        ]),
      },
      () => random.pick(onsets) + random.pick(vowels) + random.pick(codas),
    )
      .join("")
      .slice(0, 11) || "a"
  );
}

/** As `englishWord`, sometimes with a capital or in capitals. */
export function casedWord(random: Random): string {
  const word = englishWord(random);
  if (random.chance(0.1)) return capital(word);
  return random.chance(0.03) ? word.toUpperCase() : word;
}

export function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

const koreanWords =
  `사과 바나나 포도 딸기 수박 참외 우유 커피 물 밥 빵 김치 고기 생선 나무 꽃 하늘 바다 산 강 별 달 해 비 눈 바람 구름 학교 회사 집 방 문 창문 책 연필 종이 가방
고양이 강아지 토끼 호랑이 사자 곰 여우 새 말 소 돼지 닭 오리 원숭이 코끼리 기린 자동차 기차 비행기 배 자전거 버스 지하철 컴퓨터 전화 시계 의자 책상 침대 음악 노래 영화 그림 사진 운동
축구 야구 농구 수영 친구 가족 엄마 아빠 동생 언니 형 선생님 학생 의사 경찰 가수 사랑 행복 희망 평화 시간 아침 점심 저녁 오늘 내일 어제 봄 여름 가을 겨울 서울 부산 제주 한국 나라 도시 시장
병원 도서관 공원 은행 식당 우산 모자 신발 바지 치마 양말 안경 반지 거울 수건 비누 칫솔 접시 숟가락 젓가락 냉장고 라디오 텔레비전 무지개 해바라기 도토리 다람쥐 개구리 거북이 나비`.split(
    /\s+/,
  );

const syllables = [
  ..."가나다라마바사아자차카타파하고노도로모보소오조구누두루무부수우주기니디리미비시이지강산문별달물불말길발손눈귀입코집방벽창책곰새꽃숲강들논밭옷신금은동철실검청홍백흑",
];

/** A Korean word, or two to four syllables that could be one. */
export function koreanWord(random: Random): string {
  if (random.chance(0.55)) return random.pick(koreanWords);
  return Array.from({ length: random.whole(2, 4) }, () => random.pick(syllables)).join("");
}
