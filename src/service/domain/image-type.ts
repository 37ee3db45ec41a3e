/** The kinds of images that messages have. */

export const imageTypes: ReadonlyArray<string> = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/**
 * The media type by the signature at the beginning; undefined where it is none of `imageTypes`.
 * https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern
 */
export const imageTypeOf = (data: Uint8Array): string | undefined => {
  const beginning = String.fromCharCode(...data.subarray(0, 12));
  if (beginning.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (beginning.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (/^GIF8[79]a/.test(beginning)) return "image/gif";
  return /^RIFF[^]{4}WEBP/.test(beginning) ? "image/webp" : undefined;
};
