/** The options that a model is known not to support, beside those of its engine. */
import type { ConversationOption } from "../../domain/conversation-options.ts";
import type { OptionRefused } from "./problems.ts";

interface Learned {
  readonly until: number;
  /** Whether a task that sets the option is refused as well. */
  readonly isRefused: boolean;
}

export class UnsupportedOptions {
  private readonly told: ReadonlySet<ConversationOption>;
  private readonly now: () => number;
  private readonly learned = new Map<ConversationOption, Learned>();

  /** @param told what the server has said when it was asked, which holds for as long as the model is loaded */
  constructor(told: Iterable<ConversationOption>, now: () => number) {
    this.told = new Set(told);
    this.now = now;
  }

  /** Remembers a refusal for a while: what is wrong with one request may be right with the next. */
  learn({ option, reach }: Pick<OptionRefused, "option" | "reach">): void {
    if (reach === "request") return;
    const isRefused = reach === "model" || this.refused.has(option);
    this.learned.set(option, { until: this.now() + rememberedMs, isRefused });
  }

  /** Tasks that set one of these are refused. */
  get refused(): ReadonlySet<ConversationOption> {
    return this.told.union(this.those(({ isRefused }) => isRefused));
  }

  /** Of these no default is sent. */
  get leftOut(): ReadonlySet<ConversationOption> {
    return this.told.union(this.those(() => true));
  }

  private those(isMeant: (learned: Learned) => boolean): Set<ConversationOption> {
    const now = this.now();
    const meant = [...this.learned].filter(([, learned]) => learned.until > now && isMeant(learned));
    return new Set(meant.map(([option]) => option));
  }
}

/** A server may be updated, and a refusal may have been misread. */
const rememberedMs = 10 * 60_000;
