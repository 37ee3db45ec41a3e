/** Images as servers get them: the URL that the caller gave, or the bytes in base64. */
import type { ContentPart } from "../../domain/conversation.ts";
import { imageTypeOf } from "../../domain/image-type.ts";

type ImagePart = Extract<ContentPart, { readonly type: "image" }>;

export const base64Of = (data: Uint8Array): { readonly mediaType: string; readonly text: string } => ({
  mediaType: imageTypeOf(data) ?? "application/octet-stream",
  text: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"),
});

export const imageUrl = ({ source }: ImagePart): string => {
  if ("url" in source) return source.url;
  const { mediaType, text } = base64Of(source.data);
  return `data:${mediaType};base64,${text}`;
};
