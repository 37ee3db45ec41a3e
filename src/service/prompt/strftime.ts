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
  "%": () => "%",
};

const pad = (value: number): string => String(value).padStart(2, "0");

const dayNames = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const monthNames = "January February March April May June July August September October November December".split(" ");
