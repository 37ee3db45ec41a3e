/** Measures how busy the machine's CPUs are. */
import { cpus } from "node:os";

export class CpuMeter {
  private before = totals();

  /** The busy share of all CPUs since the last call, 0..1. */
  busySinceLast(): number {
    const now = totals();
    const all = now.all - this.before.all;
    const busy = now.busy - this.before.busy;
    this.before = now;
    return all <= 0 ? 0 : Math.min(1, Math.max(0, busy / all));
  }
}

const totals = (): { readonly all: number; readonly busy: number } => {
  let [all, busy] = [0, 0];
  for (const { times } of cpus()) {
    const used = times.user + times.nice + times.sys + times.irq;
    all += used + times.idle;
    busy += used;
  }
  return { all, busy };
};
