/** What a request says that its body is, and what a method takes. */
import type { UniversalHandler } from "@connectrpc/connect/protocol";

export interface ContentType {
  /** In lower case and without parameters; empty where the request says nothing. */
  readonly type: string;
  /** In lower case; undefined where the request says nothing. */
  readonly charset: string | undefined;
}

/** https://www.rfc-editor.org/rfc/rfc9110#section-8.3: the value of a parameter may stand in quotes. */
export const parseContentType = (value: string): ContentType => {
  const [type = "", ...parameters] = value.split(";");
  const charset = parameters.flatMap((parameter) => /^\s*charset="?([^"]*)"?\s*$/i.exec(parameter)?.[1] ?? [])[0];
  return { type: type.trim().toLowerCase(), charset: charset?.toLowerCase() };
};

export const isGrpc = (type: string): boolean => type.startsWith("application/grpc") && !isGrpcWeb(type);

export const isGrpcWeb = (type: string): boolean => type.startsWith("application/grpc-web");

/** A stream of Connect's: its status stands at its end. */
export const isConnectStream = (type: string): boolean => type.startsWith("application/connect+");

const ofUnary = ["application/json", "application/proto"];
const ofStreams = ["application/connect+json", "application/connect+proto"];
const ofAll = ["application/grpc", "application/grpc+json", "application/grpc-web", "application/grpc-web+json"];

/** The types that a method takes, the one for a person with curl first. */
export const typesOf = ({ method }: UniversalHandler): ReadonlyArray<string> => [
  ...(method.methodKind === "unary" ? ofUnary : ofStreams),
  ...ofAll,
];
