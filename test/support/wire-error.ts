import { ConnectError } from "@connectrpc/connect";

import {
  BadRequestSchema,
  ErrorInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../../src/client/gen/google/rpc/error_details_pb.ts";
import { GenerationFailureSchema } from "../../src/client/gen/mlxd/v1/error_details_pb.ts";

/** The error that a call fails with; throws where it does not fail. */
export const errorOf = async (call: Promise<unknown>): Promise<ConnectError> => {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the call did not fail");
};

/** The details of an error by kind; undefined where it has none of that kind. */
export const detailsOf = (error: ConnectError) => ({
  info: error.findDetails(ErrorInfoSchema)[0],
  badRequest: error.findDetails(BadRequestSchema)[0],
  retry: error.findDetails(RetryInfoSchema)[0],
  resource: error.findDetails(ResourceInfoSchema)[0],
  failure: error.findDetails(GenerationFailureSchema)[0],
});

/** What the first violation says: field and description. */
export const violationOf = (error: ConnectError): string | undefined => {
  const violation = detailsOf(error).badRequest?.fieldViolations[0];
  return violation && `${violation.field}: ${violation.description}`;
};
