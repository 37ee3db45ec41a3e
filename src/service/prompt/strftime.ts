/** Python's strftime in the C locale and local time, for the directives that chat templates use. */
export const strftime = (date: Date, format: string): string =>
  format.replace(/%(-?)([a-zA-Z%])/g, (whole, bare: string, directive: string) => {
    const written = directives[directive]?.(date) ?? whole;
    return bare === "" ? written : written.replace(/^0(?=.)/, "");
  });

const directives: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getFullYear()),
  y: (date) => pad(date.getFullYear() % 100),
  m: (date) => pad(date.getMonth() + 1),
  d: (date) => pad(date.getDate()),
  H: (date) => pad(date.getHours()),
  I: (date) => pad(date.getHours() % 12 || 12),
  M: (date) => pad(date.getMinutes()),
  S: (date) => pad(date.getSeconds()),
  p: (date) => (date.getHours() < 12 ? "AM" : "PM"),
  B: (date) => monthNames[date.getMonth()] ?? "",
  b: (date) => (monthNames[date.getMonth()] ?? "").slice(0, 3),
  A: (date) => dayNames[date.getDay()] ?? "",
  a: (date) => (dayNames[date.getDay()] ?? "").slice(0, 3),
  e: (date) => String(date.getDate()).padStart(2),
  j: (date) => String(dayOfYear(date)).padStart(3, "0"),
  w: (date) => String(date.getDay()),
  F: (date) => strftime(date, "%Y-%m-%d"),
  T: (date) => strftime(date, "%H:%M:%S"),
  R: (date) => strftime(date, "%H:%M"),
  D: (date) => strftime(date, "%m/%d/%y"),
  c: (date) => strftime(date, "%a %b %e %H:%M:%S %Y"),
  x: (date) => strftime(date, "%m/%d/%y"),
  X: (date) => strftime(date, "%H:%M:%S"),
  f: (date) => String(date.getMilliseconds()).padStart(3, "0").padEnd(6, "0"),
  n: () => "\n",
  t: () => "\t",
  // Empty, as in Python for a datetime without a time zone.
  Z: () => "",
  z: () => "",
  "%": () => "%",
};

const dayOfYear = (date: Date): number => {
  const newYear = Date.UTC(date.getFullYear(), 0, 1);
  return (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - newYear) / 86_400_000 + 1;
};

const pad = (value: number): string => String(value).padStart(2, "0");

const dayNames = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const monthNames = "January February March April May June July August September October November December".split(" ");
