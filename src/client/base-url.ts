import { show } from "./check.ts";
import { invalidField } from "./errors.ts";

/** Where a service listens that was started without configuration. */
const defaultBaseUrl = "http://127.0.0.1:50051";

/**
 * The address without a slash at its end. Refuses what is no http or https URL, and what a call's own path and headers
 * would not go together with: a query, a fragment, a user's name and password.
 */
export const checkBaseUrl = (baseUrl: unknown = defaultBaseUrl): string => {
  const refuse = (problem: string) => invalidField("baseUrl", problem);
  const text = baseUrl instanceof URL ? baseUrl.href : baseUrl;
  if (typeof text !== "string" || !/^https?:\/\/[^/]/i.test(text) || !URL.canParse(text)) {
    throw refuse(`${show(text)} is no URL such as ${defaultBaseUrl}`);
  }
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    throw refuse(`it holds a user's name or password: send those as the header authorization`);
  }
  if (url.search !== "" || url.hash !== "") throw refuse(`${show(text)} has a query or a fragment: leave it out`);
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
};
