/** Nobody is asked who calls, and nothing is limited. */
import { Layer } from "effect";

import { Access } from "../../src/service/access/Access.ts";
import { AccessConfig } from "../../src/service/config/AccessConfig.ts";

export const openAccess = Access.layer.pipe(Layer.provide(AccessConfig.layerOf(undefined)));
