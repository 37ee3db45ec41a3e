/**
 * Requests that are no RPC of Connect's: pages, and protocols of their own. They are calls like any other: each is counted,
 * refused while the service drains, and answered to web pages as RPCs are.
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
  /** What its caller has to have, where callers are asked who they are. */
  readonly needs: Needs;
  /** Answered to the end, as whoever watches the service wants to see it drain. @default false */
  readonly whileDraining?: boolean;
  /**
   * Answers, itself or by `Calls`. What it throws, or rejects with, before its answer has begun is answered for it, in JSON; after
   * that its connection is cut.
   */
  readonly answer: (call: RouteCall) => void | Promise<void>;
}

interface RouteCall {
  readonly request: Request;
  readonly response: Response;
  /** For `Calls`; its failures are answered as those of an RPC in JSON are. */
  readonly incoming: Incoming;
}

export interface RouteTable {
  /** Of a path; undefined where no route has it. */
  readonly find: (path: string) => ReadonlyArray<HttpRoute> | undefined;
}

export const createRouteTable = (routes: ReadonlyArray<HttpRoute>): RouteTable => {
  const byPath = Map.groupBy(routes, ({ path }) => path);
  return { find: (path) => byPath.get(path) };
};

/** A call as it comes, before it is known who makes it. */
type Arrived = Omit<Incoming, "method" | "toError" | "caller"> & { readonly evidence: Evidence };

export interface RouteOptions {
  readonly isDraining: () => boolean;
  readonly admit: Access["Service"]["admit"];
  /** Called once for a call that is begun; what it returns is called when its response is complete or was cut. */
  readonly onCall: () => () => void;
  /** Told what a route threw that was no failure of a call. */
  readonly onFailure: (route: HttpRoute, reason: unknown) => void;
}

/** @param routes those of the request's path */
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

/** What nobody has: to clients of an RPC that this version does not have in the form of their protocol. */
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
