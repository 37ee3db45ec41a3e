import { assert, describe, it } from "@effect/vitest";

import { chooseBinding } from "../../../../src/service/worker/binding/choose.ts";
import type { Core } from "../../../../src/service/worker/binding/core.ts";

const core = (binding: Core["binding"]): Core => ({ binding }) as Core;
const broken = (): Core => {
  throw new Error("libmlx.so: cannot open shared object file\nand more");
};
const loaders = { own: () => core("own"), nodeMlx: () => core("node-mlx"), platform: "linux" as const };

describe("the binding", () => {
  it("is mlxd's own where nothing is named", () => {
    for (const named of ["", "auto"]) {
      const { core: chosen, reason } = chooseBinding(named, loaders);
      assert.strictEqual(chosen.binding, "own");
      assert.strictEqual(reason, "it is the default");
    }
  });

  it("is the one that is named", () => {
    for (const named of ["own", "node-mlx"] as const) {
      const { core: chosen, reason } = chooseBinding(named, loaders);
      assert.strictEqual(chosen.binding, named);
      assert.strictEqual(reason, "MLXD_BINDING names it");
    }
  });

  it("is node-mlx where mlxd's own does not load, and the reason is why", () => {
    const { core: chosen, reason } = chooseBinding("auto", { ...loaders, own: broken });
    assert.strictEqual(chosen.binding, "node-mlx");
    assert.strictEqual(reason, "mlxd's own does not load: libmlx.so: cannot open shared object file");
  });

  it("is not another one than the one that is named", () => {
    assert.throws(
      () => chooseBinding("own", { ...loaders, own: broken }),
      "MLX cannot be loaded: libmlx.so: cannot open shared object file (MLXD_BINDING=node-mlx takes the npm package instead)",
    );
    assert.throws(() => chooseBinding("node-mlx", { ...loaders, nodeMlx: broken }), "MLXD_BINDING=own takes");
  });

  it("is not node-mlx on a Mac, unless it is named", () => {
    const mac = { ...loaders, own: broken, platform: "darwin" as const };
    assert.throws(() => chooseBinding("auto", mac), "scripts/with-mlx fetches its libraries");
    assert.strictEqual(chooseBinding("node-mlx", mac).core.binding, "node-mlx");
  });

  it("tells both reasons where neither loads", () => {
    const message = "mlxd's own binding does not load: libmlx.so";
    assert.throws(() => chooseBinding("auto", { ...loaders, own: broken, nodeMlx: broken }), message);
  });

  it("is refused where the name is none", () => {
    assert.throws(
      () => chooseBinding("python", loaders),
      'MLX cannot be loaded: MLXD_BINDING is "python", and has to be "auto", "own" or "node-mlx"',
    );
  });
});
