/**
 * The images of one request, which are encoded while they are sent: in the JSON each has a mark. Encoded at once, 60 MiB
 * of them would block the service for 0.7 s, and take several times their memory.
 */
import { randomUUID } from "node:crypto";

/** JSON, and between its pieces the bytes of images, which are sent in base64. */
export type RequestBody = ReadonlyArray<string | Uint8Array>;

export class RequestImages {
  /** Nobody can write it into a conversation. */
  private readonly mark = randomUUID();
  private readonly images: Uint8Array[] = [];

  /** The mark of an image, in place of its base64. Marks have to be in the JSON once, in the order in which they were made. */
  readonly add = (data: Uint8Array): string => {
    this.images.push(data);
    return this.mark;
  };

  /** The body of which the JSON with the marks is the text. */
  within(json: string): RequestBody {
    const texts = json.split(this.mark);
    return texts.flatMap((text, index) => {
      const image = index + 1 < texts.length ? this.images[index] : undefined;
      return image === undefined ? [text] : [text, image];
    });
  }
}
