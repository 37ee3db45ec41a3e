/** Parses a request's content type, and lists those that a method accepts. */
import type { UniversalHandler } from "@connectrpc/connect/protocol";

export interface ContentType {
  /** In lower case and without parameters; empty if the header is missing. */
  readonly type: string;
  /** In lower case; undefined if there is none. */
  readonly charset: string | undefined;
}

/** https://www.rfc-editor.org/rfc/rfc9110#section-8.3: a parameter's value may be quoted. */
export const parseContentType = (value: string): ContentType => {
  const [type = "", ...parameters] = value.split(";");
  const charset = parameters.flatMap((parameter) => /^\s*charset="?([^"]*)"?\s*$/i.exec(parameter)?.[1] ?? [])[0];
  return { type: type.trim().toLowerCase(), charset: charset?.toLowerCase() };
};

export const isGrpc = (type: string): boolean => type.startsWith("application/grpc") && !isGrpcWeb(type);

export const isGrpcWeb = (type: string): boolean => type.startsWith("application/grpc-web");

/** A Connect stream, which sends its status at the end. */
export const isConnectStream = (type: string): boolean => type.startsWith("application/connect+");

const ofUnary = ["application/json", "application/proto"];
const ofStreams = ["application/connect+json", "application/connect+proto"];
const ofAll = ["application/grpc", "application/grpc+json", "application/grpc-web", "application/grpc-web+json"];

/** The types that a method accepts, starting with the one for a person with curl. */
export const typesOf = ({ method }: UniversalHandler): ReadonlyArray<string> => [
  ...(method.methodKind === "unary" ? ofUnary : ofStreams),
  ...ofAll,
];
