/**
 * Jobs that wait for a lane. Callers take turns: however many jobs a caller has waiting, the next turn is another
 * caller's.
 */

interface WaitingJob {
  readonly isLarge: boolean;
  /** The caller whose turn the job takes; undefined for the service's own jobs. */
  readonly share: string | undefined;
}

/**
 * How many callers' jobs may wait. Small and large jobs are counted apart, so that large ones cannot crowd out small
 * ones. When the queue is full, the caller with the most waiting jobs loses its last one.
 */
export const maxWaitingJobs = 1024;
/** How many jobs of one caller may wait. */
export const maxWaitingOfShare = 256;

export class WaitingJobs<Job extends WaitingJob> {
  private own: Job[] = [];
  /** By caller, in turn order: a caller whose job has just begun moves to the end. */
  private readonly shares = new Map<string, Job[]>();

  /**
   * Returns the job that is refused to make room, which may be the new one, and how many of its caller's jobs were
   * ahead of it.
   */
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
    // Among callers with equally many jobs, the one that adds the new job loses it.
    const [longest, count] = all.reduce((most, each) => (each[1] > most[1] ? each : most), [
      share,
      before + 1,
    ] as const);
    const last = this.jobsOf(longest).findLast((each) => each.isLarge === isLarge) ?? job;
    this.remove(last);
    return { job: last, before: count - 1 };
  }

  /** Puts a job back whose lane ended through no fault of its own; it is the first in its caller's turn. */
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
   * Takes the first job that can begin: the service's own jobs come first, then those of the caller whose turn it is.
   *
   * @param begin tries to begin the job and returns whether it did
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
