/** What is wrong with the images of a conversation. What they show is read by the model's engine alone. */
import type { FieldViolation } from "../domain/errors.ts";
import type { ChatInput, ContentPart } from "../domain/conversation.ts";
import { imageTypeOf, imageTypes } from "../domain/image-type.ts";

export const imageViolations = ({ messages }: ChatInput): ReadonlyArray<FieldViolation> =>
  messages.flatMap(({ role, content }, message) =>
    content.flatMap((part, index) => {
      if (part.type !== "image") return [];
      const path = `task.chat.messages[${message}].content[${index}].image`;
      if (role !== "user")
        return [{ field: path, description: `messages of users have images, and not the ${role}'s` }];
      return problemsOf(part).map(({ key, description }) => ({ field: `${path}.${key}`, description }));
    }),
  );

const problemsOf = ({ source, mediaType }: Extract<ContentPart, { readonly type: "image" }>) => {
  if (mediaType !== "" && !imageTypes.includes(mediaType)) {
    return [{ key: "media_type", description: `"${mediaType.slice(0, 64)}" is none of ${imageTypes.join(", ")}` }];
  }
  if ("url" in source) return isUrl(source.url) ? [] : [{ key: "url", description: noUrl }];
  const found = imageTypeOf(source.data);
  if (found === undefined) {
    const description = `its ${source.data.length} bytes are none of ${imageTypes.join(", ")}`;
    return [{ key: "data", description }];
  }
  if (mediaType === "" || mediaType === found) return [];
  return [{ key: "media_type", description: `the image is ${found} by its first bytes, and not ${mediaType}` }];
};

const isUrl = (text: string): boolean => {
  const url = text.length > mostUrlCharacters ? null : URL.parse(text);
  return url !== null && ["http:", "https:"].includes(url.protocol) && url.username === "" && url.password === "";
};

const mostUrlCharacters = 8_192;
const noUrl = `it is to be a data URL in base64, or an http or https URL of at most ${mostUrlCharacters} characters without credentials`;
