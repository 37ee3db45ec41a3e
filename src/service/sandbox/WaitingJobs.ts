/** Jobs that wait for a lane. Callers take turns: however many jobs one of them has waiting, the next turn is another's. */

interface WaitingJob {
  readonly isLarge: boolean;
  /** Whose turn it takes; undefined for the service's own. */
  readonly share: string | undefined;
}

/**
 * Of callers' jobs as many wait at most; small and large ones are counted apart, so that large ones refuse no small one. Where
 * all these places are taken, whoever has most of them gives one up.
 */
export const maxWaitingJobs = 1024;
/** Of one caller. */
export const maxWaitingOfShare = 256;

export class WaitingJobs<Job extends WaitingJob> {
  private own: Job[] = [];
  /** In the order of their turns: whose job was begun last comes last. */
  private readonly shares = new Map<string, Job[]>();

  /** Returns the job that is refused for it, which may be the same, and how many it was behind. */
  add(job: Job): { readonly job: Job; readonly before: number } | undefined {
    const { share, isLarge } = job;
    if (share === undefined) {
      this.own.push(job);
      return undefined;
    }
    const before = this.countOf(share, isLarge);
    if (before >= maxWaitingOfShare) return { job, before };
    this.jobsOf(share).push(job);
    const all = [...this.shares.keys()].map((each) => [each, this.countOf(each, isLarge)] as const);
    if (all.reduce((sum, [, count]) => sum + count, 0) <= maxWaitingJobs) return undefined;
    // The newcomer where it is one of several that have most.
    const [longest, count] = all.reduce((most, each) => (each[1] > most[1] ? each : most), [
      share,
      before + 1,
    ] as const);
    const last = this.jobsOf(longest).findLast((each) => each.isLarge === isLarge) ?? job;
    this.remove(last);
    return { job: last, before: count - 1 };
  }

  /** Of a job that had begun, and was not to blame that it did not end. */
  addFirst(job: Job): void {
    if (job.share === undefined) this.own.unshift(job);
    else this.jobsOf(job.share).unshift(job);
  }

  remove(job: Job): void {
    if (job.share === undefined) this.own = this.own.filter((other) => other !== job);
    else
      this.setJobsOf(
        job.share,
        this.jobsOf(job.share).filter((other) => other !== job),
      );
  }

  clear(): void {
    this.own = [];
    this.shares.clear();
  }

  /**
   * Takes the first that can begin: the service's own come first, then one of the caller's whose turn it is.
   *
   * @param begin says whether it has begun
   */
  take(begin: (job: Job) => boolean): boolean {
    const own = this.own.find(begin);
    if (own !== undefined) {
      this.remove(own);
      return true;
    }
    for (const [share, jobs] of this.shares) {
      const begun = jobs.find(begin);
      if (begun === undefined) continue;
      this.remove(begun);
      const left = this.shares.get(share);
      if (left === undefined) return true;
      this.shares.delete(share);
      this.shares.set(share, left);
      return true;
    }
    return false;
  }

  private countOf(share: string, isLarge: boolean): number {
    return this.shares.get(share)?.filter((job) => job.isLarge === isLarge).length ?? 0;
  }

  private jobsOf(share: string): Job[] {
    const jobs = this.shares.get(share) ?? [];
    this.shares.set(share, jobs);
    return jobs;
  }

  private setJobsOf(share: string, jobs: Job[]): void {
    if (jobs.length === 0) this.shares.delete(share);
    else this.shares.set(share, jobs);
  }
}
