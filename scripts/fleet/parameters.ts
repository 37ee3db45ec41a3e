/** What a fleet and its callers are like: the few numbers that the figures of docs/scale.md follow from. */
export interface FleetParameters {
  readonly hosts: number;
  /** Generations that a host runs at once: its MLXD_MAX_RUNNING. */
  readonly slots: number;
  /** Share of all slots that callers would keep busy if nothing of their prompts were ever computed. */
  readonly utilization: number;
  /** Sets of instructions (system text and tools) for each host; the most used one is used more, as words of a language are. */
  readonly assistantsPerHost: number;
  /** Tokens of the instructions, of what a user says in a turn, and of an answer. */
  readonly instructionTokens: number;
  readonly userTokens: number;
  readonly answerTokens: number;
  /** Turns of a conversation, and what a user thinks between two of them, on average. */
  readonly turns: number;
  readonly thinkSeconds: number;
  /** What a host computes of a prompt in a second, and what each stream gets of an answer while all slots are taken. */
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  /** Tokens that the prefix cache of a host holds. */
  readonly cacheTokens: number;
  /** How many times its share a host may have before a hash leads elsewhere: HAProxy's `hash-balance-factor`, in hundredths there. */
  readonly balanceFactor: number;
  /** Calls of each host that are counted, after half as many that fill the caches. */
  readonly callsPerHost: number;
  readonly seed: number;
}

/** A host that serves a model of some 8 billion parameters in 4 bits: assumed, and to be replaced by what yours measure. */
export const defaultParameters: FleetParameters = {
  hosts: 20,
  slots: 16,
  utilization: 0.7,
  assistantsPerHost: 3,
  instructionTokens: 1500,
  userTokens: 150,
  answerTokens: 300,
  turns: 5,
  thinkSeconds: 20,
  prefillTokensPerSecond: 1000,
  decodeTokensPerSecond: 20,
  cacheTokens: 100_000,
  balanceFactor: 1.25,
  callsPerHost: 60,
  seed: 1,
};

/** Seconds that a call holds its slot beside the computing of its prompt. */
export const answerSeconds = ({ answerTokens, decodeTokensPerSecond }: FleetParameters): number =>
  answerTokens / decodeTokensPerSecond;

/** Calls that come in a second: by Little's law, as many as keep that share of the slots busy with answers. */
export const callsPerSecond = (fleet: FleetParameters): number =>
  (fleet.hosts * fleet.slots * fleet.utilization) / answerSeconds(fleet);
