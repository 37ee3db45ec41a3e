/** Names of template variables that a caller may not set. */
import { globals } from "./jinja/globals.ts";

export const reservedOptions: ReadonlySet<string> = new Set([
  ...globals.map(([name]) => name),
  "raise_exception",
  "strftime_now",
  "true",
  "True",
  "false",
  "False",
  "none",
  "None",
  "loop",
  "caller",
  "varargs",
  "kwargs",
  "messages",
  "tools",
  "add_generation_prompt",
  "continue_final_message",
]);
