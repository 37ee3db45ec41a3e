/** Requests for anything but an RPC. */
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { Code } from "@connectrpc/connect";

import { encodeGrpcMessage } from "./grpc-message.ts";
import type { Request, Response } from "./one-port.ts";
import { endTrailersOnly } from "./write-response.ts";

const greeting = `This is mlxd: language models on MLX, over gRPC, gRPC-Web and Connect.

  POST /mlxd.v1.GenerationService/Generate   {"task": {"prompt": "Once upon a time"}}   with Content-Type: application/json
  GET  /mlxd.v1.ModelService/ListModels?encoding=json&message=%7B%7D

The API is in proto/mlxd/v1, how to use it in README.md and docs/.
`;

/** A greeting for people, and for clients of an RPC that this version does not have the error of their protocol. */
export const answerOther = (request: Request, response: Response): void => {
  const contentType = request.headers["content-type"] ?? "";
  const path = request.url?.split("?", 1)[0] ?? "";
  const message = `this server has no ${path.slice(0, 256)}`;
  if (request.method === "GET" && path === "/") {
    send(response, 200, "text/plain; charset=utf-8", greeting);
  } else if (contentType.startsWith("application/grpc")) {
    endTrailersOnly(response, {
      "content-type": contentType,
      "grpc-status": String(Code.Unimplemented),
      "grpc-message": encodeGrpcMessage(message),
    });
  } else {
    send(response, 404, "application/json", JSON.stringify({ code: codeToString(Code.Unimplemented), message }));
  }
};

const send = (response: Response, status: number, contentType: string, body: string): void => {
  response.statusCode = status;
  response.setHeader("Content-Type", contentType);
  response.end(body);
};
