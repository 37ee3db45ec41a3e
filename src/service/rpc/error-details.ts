/**
 * The details of a failed call. They are sent in one HTTP header or trailer, and peers drop a response whose headers
 * are too large, so their size is bounded.
 */
import { Code, type ConnectError } from "@connectrpc/connect";
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";

import {
  BadRequestSchema,
  ErrorInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../../client/gen/google/rpc/error_details_pb.ts";
import { type ErrorReason, GenerationFailureSchema } from "../../client/gen/mlxd/v1/error_details_pb.ts";
import type { FieldViolation, Progress, ServiceError } from "../domain/errors.ts";
import { durationFromMs } from "./duration.ts";

/** The limit for all details of one error, in bytes. */
export const maxDetailBytes = 4096;
/** The limit for a status message, in bytes. */
export const maxMessageBytes = 1024;
const maxValueBytes = 256;

export interface Detail<Desc extends DescMessage = DescMessage> {
  readonly desc: Desc;
  readonly value: MessageShape<Desc>;
}

const detail = <Desc extends DescMessage>(desc: Desc, value: MessageShape<Desc>): Detail<Desc> => ({ desc, value });

/** `domain`, `reason` and the numbers in the message; part of every error. */
export const errorInfo = (reason: keyof typeof ErrorReason, metadata: Readonly<Record<string, string>>): Detail =>
  detail(ErrorInfoSchema, create(ErrorInfoSchema, { domain: "mlxd", reason, metadata }));

/** Adds metadata to an ErrorInfo; other details stay as they are. */
export const annotated = (each: Detail, metadata: Readonly<Record<string, string>>): Detail => {
  if (each.desc !== ErrorInfoSchema) return each;
  const info = (each as Detail<typeof ErrorInfoSchema>).value;
  return detail(ErrorInfoSchema, create(ErrorInfoSchema, { ...info, metadata: { ...info.metadata, ...metadata } }));
};

/** The reason in a status; for errors that Connect raises itself, the code. */
export const reasonIn = ({ details, code }: ConnectError): string => {
  for (const found of details) {
    if ("desc" in found && found.desc === ErrorInfoSchema)
      return (found as Detail<typeof ErrorInfoSchema>).value.reason;
  }
  return code === Code.Canceled ? "CANCELLED" : code === Code.DeadlineExceeded ? "DEADLINE" : "UNKNOWN";
};

const apart = new Set(["_tag", "violations", "progress"]);

/** The fields of an error as strings, without those that have a detail of their own. */
export const metadataOf = (error: ServiceError): Record<string, string> => {
  const metadata: Record<string, string> = {};
  if (error._tag === "RequestMalformed") return metadata;
  // `cause` is not enumerable, as on every Error.
  const fields: Readonly<Record<string, unknown>> = { ...error, cause: error.cause };
  for (const [key, value] of Object.entries(fields)) {
    if (apart.has(key) || value === undefined) continue;
    const text = Array.isArray(value) ? value.join(", ") : typeof value === "string" ? value : JSON.stringify(value);
    metadata[key] = truncateUtf8(withoutPaths(text), maxValueBytes);
  }
  return metadata;
};

/** The details that an error's fields call for, most important first. */
export const detailsOf = (error: ServiceError, lastSequence: number | undefined): ReadonlyArray<Detail> => {
  const details: Detail[] = [];
  if ("progress" in error && error.progress !== undefined) {
    details.push(generationFailure(error.progress, lastSequence));
  }
  if ("retryAfterMs" in error) {
    details.push(detail(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: durationFromMs(error.retryAfterMs) })));
  }
  if (error._tag === "ModelNotFound") {
    const resourceName = truncateUtf8(error.model, maxValueBytes);
    details.push(
      detail(ResourceInfoSchema, create(ResourceInfoSchema, { resourceType: "mlxd.v1.Model", resourceName })),
    );
  }
  if (error._tag === "InvalidField") details.push(badRequest(error.violations));
  if (error._tag === "RequestMalformed" && error.field !== "") {
    details.push(badRequest([{ field: error.field, description: error.description }]));
  }
  return details;
};

/** As many of the details as fit, in order. */
export const withinCap = (details: ReadonlyArray<Detail>): ReadonlyArray<Detail> => {
  let left = maxDetailBytes;
  return details.filter(({ desc, value }) => {
    // google.protobuf.Any adds the type's URL and a few bytes of tags and lengths.
    const size = toBinary(desc, value).length + `type.googleapis.com/${desc.typeName}`.length + 12;
    if (size > left) return false;
    left -= size;
    return true;
  });
};

/** Well-formed text of at most `maxBytes` bytes of UTF-8; an ellipsis marks a cut. */
export const truncateUtf8 = (text: string, maxBytes: number): string => {
  const wellFormed = text.toWellFormed(); // a lone surrogate would make encodeURIComponent throw
  if (Buffer.byteLength(wellFormed) <= maxBytes) return wellFormed;
  let kept = "";
  let bytes = 3; // the ellipsis
  for (const character of wellFormed) {
    bytes += Buffer.byteLength(character);
    if (bytes > maxBytes) break;
    kept += character;
  }
  return `${kept}…`;
};

/**
 * Removes absolute paths, which are none of a caller's business. Ids such as `organisation/model` stay, as do places in
 * JSON such as `#/properties/name`: a path is at the beginning of the text or follows a space, a quote, a bracket or
 * the like.
 */
export const withoutPaths = (text: string): string =>
  text.replaceAll(/(?<![^\s"'`([{<=,;])(?:file:\/\/)?\/(?:[^\s/"'`,;:)]+\/)+[^\s/"'`,;:)]*/g, "<path>");

const generationFailure = ({ generationId, usage }: Progress, lastSequence: number | undefined): Detail => {
  const last = lastSequence === undefined ? {} : { lastSequence };
  return detail(GenerationFailureSchema, create(GenerationFailureSchema, { generationId, usage, ...last }));
};

/** Leaves room for the other details: of very many violations only the first are included. */
const badRequest = (violations: ReadonlyArray<FieldViolation>): Detail => {
  let left = maxDetailBytes / 2;
  const fieldViolations = violations
    .map(({ field, description }) => ({
      field: truncateUtf8(field, maxValueBytes),
      description: truncateUtf8(description, maxValueBytes),
    }))
    .filter(({ field, description }) => (left -= Buffer.byteLength(field) + Buffer.byteLength(description) + 8) >= 0);
  return detail(BadRequestSchema, create(BadRequestSchema, { fieldViolations }));
};
