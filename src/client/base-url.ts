import { show } from "./check.ts";
import { invalidField } from "./errors.ts";

/** The address of a service that was started without configuration. */
const defaultBaseUrl = "http://127.0.0.1:50051";

/**
 * The address without a trailing slash. Refuses anything but an http or https URL, and the parts of a URL that a call cannot
 * carry: a query, a fragment, a user name and a password.
 */
export const checkBaseUrl = (baseUrl: unknown = defaultBaseUrl): string => {
  const refuse = (problem: string) => invalidField("baseUrl", problem);
  const text = baseUrl instanceof URL ? baseUrl.href : baseUrl;
  if (typeof text !== "string" || !/^https?:\/\/[^/]/i.test(text) || !URL.canParse(text)) {
    throw refuse(`${show(text)} is not a URL such as ${defaultBaseUrl}`);
  }
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    throw refuse(`it has a user name or a password: send those in the authorization header`);
  }
  if (url.search !== "" || url.hash !== "") throw refuse(`${show(text)} has a query or a fragment: remove it`);
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
};
