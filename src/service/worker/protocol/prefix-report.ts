/** What an engine process reports of its prefix cache. */

/** What has changed in the prefix cache since the last report. */
export interface PrefixReport {
  /** Over all partitions, as it is now; so are the bytes. */
  readonly entries: number;
  readonly bytes: number;
  /** Those in which something has changed. */
  readonly partitions: ReadonlyArray<PartitionReport>;
}

export interface PartitionReport {
  readonly partition: string;
  /** Sequences that looked for a beginning since the last report; so with the next three and the evictions. */
  readonly lookups: number;
  /** Tokens that they could have found. */
  readonly lookupTokens: number;
  /** Lookups that found some. */
  readonly hits: number;
  readonly hitTokens: number;
  /** Entries that were dropped for lack of room. */
  readonly evictions: number;
  /** As it is now; so are the bytes. */
  readonly entries: number;
  readonly bytes: number;
}

export interface ClearedPrefixes {
  readonly entries: number;
  /** What is free now. */
  readonly bytes: number;
}
