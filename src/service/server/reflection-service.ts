/** Server reflection, for grpcurl and the like: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md */
import { Code, type ConnectRouter } from "@connectrpc/connect";

import { ServerReflection as V1 } from "../../client/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1Alpha } from "../../client/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { encodeWithImports, type ReflectionIndex } from "./reflection-index.ts";

// The two versions differ only in their package, so these types fit the messages of both.
type Question =
  | { readonly case: "listServices" | "fileByFilename" | "fileContainingSymbol"; readonly value: string }
  | { readonly case: "allExtensionNumbersOfType"; readonly value: string }
  | {
      readonly case: "fileContainingExtension";
      readonly value: { readonly containingType: string; readonly extensionNumber: number };
    }
  | { readonly case: undefined; readonly value?: undefined };

type Answer =
  | { case: "listServicesResponse"; value: { service: Array<{ name: string }> } }
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

interface Request {
  readonly host: string;
  readonly messageRequest: Question;
}

export const reflectionServices = [V1, V1Alpha] as const;

export const addReflection = (router: ConnectRouter, index: ReflectionIndex): void => {
  async function* serverReflectionInfo<R extends Request>(requests: AsyncIterable<R>) {
    for await (const originalRequest of requests) {
      const { host: validHost, messageRequest } = originalRequest;
      yield { validHost, originalRequest, messageResponse: answer(index, messageRequest) };
    }
  }
  router.service(V1, { serverReflectionInfo }).service(V1Alpha, { serverReflectionInfo });
};

const answer = (index: ReflectionIndex, question: Question): Answer => {
  switch (question.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: index.services.map((name) => ({ name })) } };
    case "fileByFilename":
      return fileAnswer(index.fileByName(question.value), `file ${question.value}`);
    case "fileContainingSymbol":
      return fileAnswer(index.fileBySymbol(question.value), `symbol ${question.value}`);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      const file = index.fileByExtension(containingType, extensionNumber);
      return fileAnswer(file, `extension ${extensionNumber} of ${containingType}`);
    }
    case "allExtensionNumbersOfType": {
      const numbers = index.extensionNumbers(question.value);
      if (numbers === undefined) return failure(Code.NotFound, `there is no type ${question.value}`);
      const value = { baseTypeName: question.value, extensionNumber: [...numbers] };
      return { case: "allExtensionNumbersResponse", value };
    }
    case undefined:
      return failure(Code.InvalidArgument, "the request asks for nothing");
  }
};

const fileAnswer = (file: Parameters<typeof encodeWithImports>[0] | undefined, what: string): Answer =>
  file === undefined
    ? failure(Code.NotFound, `there is no ${what}`)
    : { case: "fileDescriptorResponse", value: { fileDescriptorProto: encodeWithImports(file) } };

const failure = (errorCode: Code, errorMessage: string): Answer => ({
  case: "errorResponse",
  value: { errorCode, errorMessage },
});
