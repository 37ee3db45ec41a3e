/** The schema of mlxd.yaml. Every key is optional; unknown keys are refused. */
import { Schema } from "effect";

import { cleanUpSteps, families, standInTemplates } from "../domain/family.ts";
import { AccessSchema } from "./access-schema.ts";
import { BackendsSchema } from "./backends-schema.ts";

const number = (minimum: number, maximum: number) => Schema.Finite.check(Schema.isBetween({ minimum, maximum }));
const wholeNumber = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }));
/** Greater than 0, as in the API. */
const positive = (maximum: number) => Schema.Finite.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(maximum));
const text = (maximum: number) => Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(maximum));

const nameCharacters = /^[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,127}$/;
/** The name of a model or adapter: it has to be easy to type and safe to log. */
const Name = Schema.String.check(
  Schema.isPattern(nameCharacters, {
    message:
      "a name begins with a letter or digit, goes on with these and . _ : @ + / - and has 128 characters at most",
  }),
);

/** As on Hugging Face: `organisation/name`, neither part with `--` or `..`. */
const RepositoryId = Schema.String.check(
  Schema.isPattern(/^(?!.*(?:--|\.\.))[A-Za-z0-9][A-Za-z0-9._-]{0,95}\/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/, {
    message: "a repository id is organisation/name in letters, digits and . _ - (no -- and no ..)",
  }),
);

const Revision = Schema.String.check(
  Schema.isPattern(/^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/, {
    message: "a revision is a branch, tag or commit in letters, digits and . _ / -",
  }),
);

const Lifetime = Schema.String.check(
  Schema.isPattern(/^[1-9]\d{0,5}(s|m|h|d)$/, { message: "a time is a whole number and s, m, h or d, as in 30m" }),
);

const StopSequences = Schema.Array(text(256)).check(Schema.isMaxLength(16));

const Defaults = Schema.Struct({
  temperature: Schema.optionalKey(number(0, 2)),
  top_p: Schema.optionalKey(positive(1)),
  top_k: Schema.optionalKey(wholeNumber(1, 2 ** 31)),
  min_p: Schema.optionalKey(number(0, 1)),
  repetition_penalty: Schema.optionalKey(positive(2)),
  presence_penalty: Schema.optionalKey(number(-2, 2)),
  frequency_penalty: Schema.optionalKey(number(-2, 2)),
  max_output_tokens: Schema.optionalKey(wholeNumber(1, 2 ** 31)),
  stop_sequences: Schema.optionalKey(StopSequences),
});

const Model = Schema.Struct({
  aliases: Schema.optionalKey(Schema.Array(Name)),
  path: Schema.optionalKey(text(4096)),
  repository: Schema.optionalKey(RepositoryId),
  revision: Schema.optionalKey(Revision),
  engine: Schema.optionalKey(text(64)),
  backend: Schema.optionalKey(text(64)),
  model: Schema.optionalKey(text(256)),
  family: Schema.optionalKey(Schema.Literals(families)),
  context_length: Schema.optionalKey(wholeNumber(1, 2 ** 31)),
  memory_bytes: Schema.optionalKey(wholeNumber(1, 2 ** 50)),
  vision: Schema.optionalKey(Schema.Boolean),
  tokenizer: Schema.optionalKey(Name),
  defaults: Schema.optionalKey(Defaults),
  pinned: Schema.optionalKey(Schema.Boolean),
  ttl: Schema.optionalKey(Lifetime),
  priority: Schema.optionalKey(wholeNumber(-100, 100)),
  draft: Schema.optionalKey(Name),
  adapters: Schema.optionalKey(Schema.Array(Schema.Struct({ id: Name, path: text(4096) }))),
});
export type ModelDeclaration = typeof Model.Type;

const Family = Schema.Struct({
  temperature: Schema.optionalKey(number(0, 2)),
  top_p: Schema.optionalKey(positive(1)),
  max_output_tokens: Schema.optionalKey(wholeNumber(1, 2 ** 31)),
  stop_sequences: Schema.optionalKey(StopSequences),
  chat_template: Schema.optionalKey(Schema.Literals(standInTemplates)),
  supports_system: Schema.optionalKey(Schema.Boolean),
  supports_vision: Schema.optionalKey(Schema.Boolean),
  draft: Schema.optionalKey(Schema.Boolean),
  clean_up: Schema.optionalKey(Schema.Array(Schema.Literals(cleanUpSteps))),
});
export type FamilyDeclaration = typeof Family.Type;

/** Its keys and values are validated by the readers of the variables: see settings.ts. */
const Service = Schema.Record(
  Schema.String,
  Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Array(Schema.String)]),
);

export const ConfigFileSchema = Schema.Struct({
  service: Schema.optionalKey(Service),
  access: Schema.optionalKey(AccessSchema),
  backends: Schema.optionalKey(BackendsSchema),
  models: Schema.optionalKey(Schema.Record(Schema.String, Model)),
  families: Schema.optionalKey(
    Schema.Struct(
      Object.fromEntries(families.map((family) => [family, Schema.optionalKey(Family)])) as {
        readonly [F in (typeof families)[number]]: Schema.optionalKey<typeof Family>;
      },
    ),
  ),
});

export const isName = (name: string): boolean => nameCharacters.test(name);
