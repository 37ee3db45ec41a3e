/** Requests for anything but an RPC. */
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { Code } from "@connectrpc/connect";

import type { Request, Response } from "./one-port.ts";

const greeting = `This is mlxd: language models on MLX, over gRPC, gRPC-Web and Connect.

  POST /mlxd.v1.GenerationService/Generate   {"task": {"prompt": "Once upon a time"}}   with Content-Type: application/json
  GET  /mlxd.v1.ModelService/ListModels?encoding=json&message={}

The API is in proto/mlxd/v1, how to use it in README.md and docs/.
`;

/** A greeting for people, and for clients of an RPC that this version does not have the error of their protocol. */
export const answerOther = (request: Request, response: Response): void => {
  const contentType = request.headers["content-type"] ?? "";
  const path = request.url?.split("?", 1)[0] ?? "";
  const message = `this server has no ${path.slice(0, 256)}`;
  if (request.method === "GET" && path === "/") {
    send(response, 200, { "Content-Type": "text/plain; charset=utf-8" }, greeting);
  } else if (contentType.startsWith("application/grpc")) {
    const status = { "Grpc-Status": String(Code.Unimplemented), "Grpc-Message": encodeURIComponent(message) };
    send(response, 200, { "Content-Type": contentType, ...status }, ""); // trailers-only
  } else {
    const error = JSON.stringify({ code: codeToString(Code.Unimplemented), message });
    send(response, 404, { "Content-Type": "application/json" }, error);
  }
};

const send = (response: Response, status: number, headers: Readonly<Record<string, string>>, body: string): void => {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
};
