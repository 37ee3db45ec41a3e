/** The configuration of access control. */
import { Context, Effect, Layer } from "effect";

import type { ConfigurationInvalid } from "../domain/errors.ts";
import type { AccessDeclaration } from "./access-schema.ts";
import { Configuration } from "./Configuration.ts";

export interface AccessSettings {
  /** Undefined: authentication is off. */
  readonly declared: AccessDeclaration | undefined;
  /** The configuration file; undefined if there is none. It may change while the service runs. */
  readonly file: string | undefined;
}

export class AccessConfig extends Context.Service<
  AccessConfig,
  AccessSettings & {
    /** Reads the current configuration. */
    readonly reread: Effect.Effect<AccessSettings, ConfigurationInvalid>;
  }
>()("mlxd/config/AccessConfig") {
  static readonly layer = Layer.effect(
    AccessConfig,
    Effect.map(Configuration, ({ file, reread }) => ({
      declared: file?.access,
      file: file?.path,
      reread: Effect.map(reread, (now) => ({ declared: now.file?.access, file: now.file?.path })),
    })),
  );

  /** For tests: the contents of the section. */
  static layerOf(declared: AccessDeclaration | undefined): Layer.Layer<AccessConfig> {
    const settings = { declared, file: undefined };
    return Layer.succeed(AccessConfig, { ...settings, reread: Effect.succeed(settings) });
  }
}
