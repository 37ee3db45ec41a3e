/** Formats values for people. */

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/** e.g. `7.4 MiB`. */
export const formatBytes = (bytes: number): string => {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
};

/** e.g. `3.2 s`, `4 min 05 s`. */
export const formatDuration = (ms: number): string => {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const wholeSeconds = Math.round(ms / 1000);
  return `${Math.floor(wholeSeconds / 60)} min ${String(wholeSeconds % 60).padStart(2, "0")} s`;
};

/** e.g. `1,234`. */
export const formatCount = (count: number): string => count.toLocaleString("en");

/** e.g. `62.5 %`, of a part from 0 to 1. */
export const formatPercent = (part: number): string => `${(part * 100).toFixed(1)} %`;

/** `yes` or empty, so that the rare case stands out. */
export const formatFlag = (flag: boolean): string => (flag ? "yes" : "");

/** A bar of this many characters for a share from 0 to 1, e.g. `[####------]`. */
export const formatBar = (part: number, width: number): string => {
  const filled = Math.round(Math.min(1, Math.max(0, part)) * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}]`;
};
