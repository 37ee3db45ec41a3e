/** Images as servers get them: the URL that the caller gave, or the bytes in base64. */
import type { ContentPart } from "../../domain/conversation.ts";
import { imageTypeOf } from "../../domain/image-type.ts";

type ImagePart = Extract<ContentPart, { readonly type: "image" }>;

/** Returns the base64, or what stands for it in the JSON until it is sent (RequestImages.ts). */
export type Encode = (data: Uint8Array) => string;

const inBase64: Encode = (data) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");

export const base64Of = (
  data: Uint8Array,
  encode = inBase64,
): { readonly mediaType: string; readonly text: string } => ({
  mediaType: imageTypeOf(data) ?? "application/octet-stream",
  text: encode(data),
});

export const imageUrl = ({ source }: ImagePart, encode?: Encode): string => {
  if ("url" in source) return source.url;
  const { mediaType, text } = base64Of(source.data, encode);
  return `data:${mediaType};base64,${text}`;
};
