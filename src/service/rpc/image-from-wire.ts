import type * as wire from "../../client/gen/mlxd/v1/types_pb.ts";
import type { ContentPart } from "../domain/conversation.ts";

/** A data URL in base64 becomes its bytes. Whether they are an image is looked at where a model takes images. */
export const imageFromWire = ({ source, mediaType }: wire.Image): ContentPart => {
  const asked = mediaType.trim().toLowerCase();
  if (source.case === "data") return { type: "image", source: { data: source.value }, mediaType: asked };
  const url = source.value ?? "";
  const comma = url.indexOf(",");
  const head = /^data:([^;,]*);base64$/i.exec(url.slice(0, Math.max(0, Math.min(comma, mostHeadCharacters))));
  if (head === null) return { type: "image", source: { url }, mediaType: asked };
  const told = (head[1] ?? "").toLowerCase();
  const data = new Uint8Array(Buffer.from(url.slice(comma + 1), "base64"));
  return { type: "image", source: { data }, mediaType: asked === "" ? told : asked };
};

const mostHeadCharacters = 128;
