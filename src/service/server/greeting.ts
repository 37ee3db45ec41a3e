/** The page that a person sees who opens the address in a browser. */
import { everyRole } from "../domain/Caller.ts";
import type { HttpRoute } from "./http-routes.ts";

const text = `This is mlxd: language models on MLX, over gRPC, gRPC-Web and Connect.

  POST /mlxd.v1.GenerationService/Generate   {"task": {"prompt": "Once upon a time"}}   with Content-Type: application/json
  GET  /mlxd.v1.ModelService/ListModels?encoding=json&message=%7B%7D

The API is in proto/mlxd/v1, how to use it in README.md and docs/.
`;

export const greeting: HttpRoute = {
  method: "GET",
  path: "/",
  needs: { roles: everyRole, opensAs: "greeting" },
  answer: ({ response }) => {
    response.setHeader("Content-Type", "text/plain; charset=utf-8");
    response.end(text);
  },
};
