import { invalidField } from "./errors.ts";

/** Where a service listens that was started without configuration. */
const defaultBaseUrl = "http://127.0.0.1:50051";

/** The address without a slash at its end; refuses what is no http or https URL. */
export const checkBaseUrl = (baseUrl: string | URL = defaultBaseUrl): string => {
  const text = String(baseUrl);
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) {
    throw invalidField("baseUrl", `"${text}" is no URL such as ${defaultBaseUrl}`);
  }
  return text.replace(/\/+$/, "");
};
