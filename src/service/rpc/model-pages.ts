/** Pages of the model list. A token contains the last model of the previous page and the filter. */
import { Result, Schema } from "effect";

import { canonicalEngine, type EngineName, engineNames } from "../domain/engine-names.ts";
import type { InvalidField } from "../domain/errors.ts";
import type { ModelState, ModelStatus } from "../domain/model.ts";
import { invalidField } from "./invalid-field.ts";

const defaultPageSize = 100;
const maxPageSize = 1000;

export interface PageRequest {
  /** 0 for the default; more than the maximum counts as the maximum, as in https://google.aip.dev/158. */
  readonly pageSize: number;
  readonly pageToken: string;
  /** Empty: all states. */
  readonly states: ReadonlySet<ModelState>;
  /** None: all. */
  readonly engines: ReadonlySet<EngineName>;
}

export interface Page {
  readonly models: ReadonlyArray<ModelStatus>;
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Models that are added or removed between two pages neither repeat nor hide others; the order is the catalog's. */
export const pageOf = (
  models: ReadonlyArray<ModelStatus>,
  { pageSize, pageToken, states, engines }: PageRequest,
): Result.Result<Page, InvalidField> =>
  Result.gen(function* () {
    const filter = [...states, ...engines].toSorted().join(",");
    const start = pageToken === "" ? 0 : yield* startOf(models, pageToken, filter);
    const isOf = (engine: EngineName | undefined) =>
      engines.size === 0 || (engine !== undefined && engines.has(engine));
    const matching = models
      .slice(start)
      .filter(({ state, facts }) => (states.size === 0 || states.has(state)) && isOf(canonicalEngine(facts.engine)));
    const page = matching.slice(0, Math.min(pageSize || defaultPageSize, maxPageSize));
    const last = page.at(-1);
    const nextPageToken = last !== undefined && matching.length > page.length ? encodeToken(last.facts.id, filter) : "";
    return { models: page, nextPageToken };
  });

/** Engines by any of their names. */
export const enginesOf = (names: ReadonlyArray<string>): Result.Result<ReadonlySet<EngineName>, InvalidField> =>
  Result.gen(function* () {
    const engines = new Set<EngineName>();
    for (const [index, name] of names.entries()) {
      const engine = canonicalEngine(name);
      if (engine === undefined) {
        const problem = `"${name}" is not the name of an engine; there are ${engineNames.join(", ")}`;
        return yield* Result.fail(invalidField(`engines[${index}]`, problem));
      }
      engines.add(engine);
    }
    return engines;
  });

const Token = Schema.fromJsonString(Schema.Struct({ after: Schema.String, filter: Schema.String }));
const decodeJson = Schema.decodeUnknownResult(Token);

const encodeToken = (after: string, filter: string): string =>
  Buffer.from(JSON.stringify({ after, filter })).toString("base64url");

const startOf = (
  models: ReadonlyArray<ModelStatus>,
  pageToken: string,
  filter: string,
): Result.Result<number, InvalidField> => {
  const token = decodeJson(Buffer.from(pageToken, "base64url").toString());
  if (Result.isFailure(token)) {
    return Result.fail(invalidField("page_token", "it is no token of this service; leave it out for the first page"));
  }
  if (token.success.filter !== filter) {
    return Result.fail(
      invalidField("page_token", "it was made for other states or engines than these; begin again without it"),
    );
  }
  const index = models.findIndex(({ facts }) => facts.id === token.success.after);
  return index < 0
    ? Result.fail(invalidField("page_token", "the model that it continues after is gone; begin again without it"))
    : Result.succeed(index + 1);
};
