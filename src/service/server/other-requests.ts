/** Requests for anything but an RPC. */
import { Code, ConnectError } from "@connectrpc/connect";

import { answerWithJson, answerWithTrailers } from "./answer-error.ts";
import type { Page } from "./metrics-page.ts";
import type { Request, Response } from "./one-port.ts";

const greeting = `This is mlxd: language models on MLX, over gRPC, gRPC-Web and Connect.

  POST /mlxd.v1.GenerationService/Generate   {"task": {"prompt": "Once upon a time"}}   with Content-Type: application/json
  GET  /mlxd.v1.ModelService/ListModels?encoding=json&message=%7B%7D

The API is in proto/mlxd/v1, how to use it in README.md and docs/.
`;

/** A page, a greeting for people, and for clients of an RPC that this version does not have the error of their protocol. */
export const answerOther = (pages: ReadonlyMap<string, Page>, request: Request, response: Response): void => {
  const contentType = request.headers["content-type"] ?? "";
  const path = request.url?.split("?", 1)[0] ?? "";
  if (request.method === "GET" && path === "/") {
    response.setHeader("Content-Type", "text/plain; charset=utf-8");
    response.end(greeting);
    return;
  }
  const page = request.method === "GET" ? pages.get(path) : undefined;
  if (page !== undefined) return page(request, response);
  const error = new ConnectError(`this server has no ${path.slice(0, 256)}`, Code.Unimplemented);
  if (contentType.startsWith("application/grpc")) answerWithTrailers(response, contentType, error);
  else answerWithJson(response, 404, error);
};
