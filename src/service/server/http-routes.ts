/**
 * Requests that are not RPCs: pages and protocols of their own. They count as calls: they are refused while the service
 * drains, and web pages get the same CORS headers as for RPCs.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { Result } from "effect";

import type { Access, Needs } from "../access/Access.ts";
import type { Evidence } from "../access/Tenants.ts";
import type { Incoming } from "../calls/Calls.ts";
import { drainingRetryAfterMs } from "../calls/failure.ts";
import { Draining } from "../domain/errors.ts";
import { errorInfo } from "../rpc/error-details.ts";
import { connectErrorFrom, wireErrorFrom, wireErrorFromFailure } from "../rpc/error-to-wire.ts";
import { answerWithJson, answerWithTrailers } from "./answer-error.ts";
import type { Request, Response } from "./one-port.ts";

export interface HttpRoute {
  readonly method: string;
  /** The whole path, without a query. */
  readonly path: string;
  /** What the caller needs if authentication is on. */
  readonly needs: Needs;
  /** Whether it is answered during a drain as well, for those who watch the service. @default false */
  readonly whileDraining?: boolean;
  /**
   * Sends the answer, itself or through `Calls`. An exception or rejection before the answer has begun is answered in
   * JSON; after that, the connection is cut.
   */
  readonly answer: (call: RouteCall) => void | Promise<void>;
}

interface RouteCall {
  readonly request: Request;
  readonly response: Response;
  /** For `Calls`; its failures are answered in JSON, like those of an RPC. */
  readonly incoming: Incoming;
}

export interface RouteTable {
  /** The routes of a path; undefined if there are none. */
  readonly find: (path: string) => ReadonlyArray<HttpRoute> | undefined;
}

export const createRouteTable = (routes: ReadonlyArray<HttpRoute>): RouteTable => {
  const byPath = Map.groupBy(routes, ({ path }) => path);
  return { find: (path) => byPath.get(path) };
};

/** A call before its caller is known. */
type Arrived = Omit<Incoming, "method" | "toError" | "caller"> & { readonly evidence: Evidence };

export interface RouteOptions {
  readonly isDraining: () => boolean;
  readonly admit: Access["Service"]["admit"];
  /** Called once when a call begins; the returned function is called when its response is complete or was cut off. */
  readonly onCall: () => () => void;
  /** Called with an exception of a route that is not a call's failure. */
  readonly onFailure: (route: HttpRoute, reason: unknown) => void;
}

/** @param routes the routes of the request's path */
export const answerRoute = (
  routes: ReadonlyArray<HttpRoute>,
  request: Request,
  response: Response,
  { evidence, ...arrived }: Arrived,
  { isDraining, admit, onCall, onFailure }: RouteOptions,
): void => {
  const route = routes.find(({ method }) => method === request.method);
  if (route === undefined) return answerWrongMethod(routes, request, response);
  if (isDraining() && route.whileDraining !== true) {
    return answerError(response, connectErrorFrom(wireErrorFrom(new Draining({ retryAfterMs: drainingRetryAfterMs }))));
  }
  response.once("close", onCall());
  const toError: Incoming["toError"] = (failure) => connectErrorFrom(wireErrorFromFailure(failure));
  void (async () => {
    try {
      const admitted = await admit(route.needs, evidence);
      if (Result.isFailure(admitted)) {
        return answerError(response, connectErrorFrom(wireErrorFrom(admitted.failure)));
      }
      const incoming = { ...arrived, caller: admitted.success, method: `${route.method} ${route.path}`, toError };
      await route.answer({ request, response, incoming });
    } catch (reason) {
      const isFailure = reason instanceof ConnectError;
      if (!isFailure) onFailure(route, reason);
      if (response.headersSent) return arrived.reset();
      const defect = wireErrorFromFailure({ type: "defect", requestId: arrived.requestId });
      answerError(response, isFailure ? reason : connectErrorFrom(defect));
    }
  })();
};

/**
 * The answer for an unknown path. Clients that call an RPC that this version does not have get it in the format of
 * their protocol.
 */
export const answerUnknown = (request: Request, response: Response, path: string): ConnectError => {
  const contentType = request.headers["content-type"] ?? "";
  const shown = path.slice(0, 256);
  const error = connectErrorFrom({
    code: Code.Unimplemented,
    message: `this server has no ${shown}`,
    details: [errorInfo("UNKNOWN_METHOD", { path: shown })],
    metadata: {},
  });
  if (contentType.startsWith("application/grpc")) answerWithTrailers(response, contentType, error);
  else answerWithJson(response, 404, error);
  return error;
};

const answerWrongMethod = (routes: ReadonlyArray<HttpRoute>, { method = "" }: Request, response: Response): void => {
  const allowed = routes
    .map((route) => route.method)
    .toSorted()
    .join(", ");
  response.setHeader("Allow", allowed);
  const message = `${routes[0]?.path} takes ${allowed}, not ${method}`;
  const details = [errorInfo("MALFORMED_REQUEST", {})];
  answerWithJson(response, 405, connectErrorFrom({ code: Code.InvalidArgument, message, details, metadata: {} }));
};

const answerError = (response: Response, error: ConnectError): void => {
  const pushbackMs = error.metadata.get("grpc-retry-pushback-ms");
  const challenge = error.metadata.get("www-authenticate");
  if (challenge !== null) response.setHeader("WWW-Authenticate", challenge);
  if (pushbackMs !== null) response.setHeader("Retry-After", String(Math.ceil(Number(pushbackMs) / 1000)));
  answerWithJson(response, codeToHttpStatus(error.code), error);
};
