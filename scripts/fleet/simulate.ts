/** Plays a fleet: conversations come, their turns are sent to hosts by a policy, wait for slots, and find prefixes cached or not. */
import { answerSeconds, callsPerSecond, type FleetParameters } from "./parameters.ts";
import type { Choose } from "./policies.ts";
import { PrefixCache } from "./PrefixCache.ts";
import { createRandom, createZipf, exponential } from "./random.ts";
import { TimeQueue } from "./TimeQueue.ts";

export interface FleetFigures {
  /** Share of the prompts' tokens that was found cached. */
  readonly cached: number;
  /** Seconds until the prompt of a call is computed: waiting, then what was not cached. */
  readonly firstTokenP50: number;
  readonly firstTokenP95: number;
  /** Calls of the host with the most, as a multiple of the mean. */
  readonly busiest: number;
}

interface Call {
  readonly conversation: number;
  readonly assistant: number;
  readonly turn: number;
  readonly arrival: number;
}

class Host {
  running = 0;
  readonly queue: Call[] = [];
  readonly cache: PrefixCache;
  calls = 0;

  constructor(cacheTokens: number) {
    this.cache = new PrefixCache(cacheTokens);
  }

  get waiting(): number {
    return this.queue.length;
  }
}

export const simulate = (fleet: FleetParameters, choose: Choose): FleetFigures => {
  const random = createRandom(fleet.seed);
  const assistantOf = createZipf(fleet.hosts * fleet.assistantsPerHost);
  const hosts = Array.from({ length: fleet.hosts }, () => new Host(fleet.cacheTokens));
  const inFront: Call[] = [];
  const events = new TimeQueue<() => void>();
  const tally = new Tally();
  const counted = fleet.hosts * fleet.callsPerHost;
  const warmUp = counted / 2;
  let now = 0;
  let begun = 0;
  let inFlight = 0;
  let conversations = 0;

  const converse = (): void => {
    const conversation = conversations++;
    const assistant = assistantOf(random);
    arrive({ conversation, assistant, turn: 0, arrival: now });
    const pause = exponential(random, fleet.turns / callsPerSecond(fleet));
    events.add(now + pause, converse);
  };

  const arrive = (call: Call): void => {
    const at = choose(call, hosts, inFlight);
    inFlight += 1;
    const host = at === undefined ? undefined : hosts[at];
    if (host === undefined) inFront.push(call);
    else if (host.running < fleet.slots) begin(host, call);
    else host.queue.push(call);
  };

  const begin = (host: Host, { conversation, assistant, turn, arrival }: Call): void => {
    const { instructionTokens, userTokens, answerTokens } = fleet;
    const promptTokens = instructionTokens + turn * (userTokens + answerTokens) + userTokens;
    const instructions = host.cache.find(`assistant ${assistant}`);
    // Perhaps that of an earlier turn, where the later ones went elsewhere.
    const conversed = host.cache.find(`conversation ${conversation}`);
    const cachedTokens = conversed > 0 ? instructionTokens + conversed : instructions;
    const prefillSeconds = (promptTokens - cachedTokens) / fleet.prefillTokensPerSecond;
    host.cache.keep(`assistant ${assistant}`, instructionTokens);
    // What a conversation has beyond its instructions.
    host.cache.keep(`conversation ${conversation}`, promptTokens + answerTokens - instructionTokens);
    host.running += 1;
    begun += 1;
    if (begun > warmUp) {
      host.calls += 1;
      tally.add(promptTokens, cachedTokens, now - arrival + prefillSeconds);
    }
    events.add(now + prefillSeconds + answerSeconds(fleet), () => {
      host.running -= 1;
      inFlight -= 1;
      const next = host.queue.shift() ?? inFront.shift();
      if (next !== undefined) begin(host, next);
      if (turn + 1 < fleet.turns) {
        const after = now + exponential(random, fleet.thinkSeconds);
        events.add(after, () => arrive({ conversation, assistant, turn: turn + 1, arrival: after }));
      }
    });
  };

  events.add(0, converse);
  while (begun < warmUp + counted) {
    const event = events.next();
    now = event.time;
    event.value();
  }
  const most = hosts.reduce((found, { calls }) => Math.max(found, calls), 0);
  return { ...tally.figures(), busiest: most / (counted / fleet.hosts) };
};

class Tally {
  readonly #firstTokens: number[] = [];
  #promptTokens = 0;
  #cachedTokens = 0;

  add(promptTokens: number, cachedTokens: number, firstToken: number): void {
    this.#promptTokens += promptTokens;
    this.#cachedTokens += cachedTokens;
    this.#firstTokens.push(firstToken);
  }

  figures(): Omit<FleetFigures, "busiest"> {
    const sorted = this.#firstTokens.toSorted((one, other) => one - other);
    const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
    return { cached: this.#cachedTokens / this.#promptTokens, firstTokenP50: at(0.5), firstTokenP95: at(0.95) };
  }
}
