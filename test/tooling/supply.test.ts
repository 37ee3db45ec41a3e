/** Licences and the bill of materials, of the lockfile as it is. */
import { join } from "node:path";
import { assert, describe, it } from "vitest";

import lock from "../../package-lock.json" with { type: "json" };
import about from "../../package.json" with { type: "json" };
import { licenceProblems } from "../../scripts/supply/licences.ts";
import { makeSbom } from "../../scripts/supply/sbom.ts";

describe("licences", () => {
  it("of all packages are on the list", () => {
    assert.deepEqual(licenceProblems(lock.packages), []);
    assert.isAbove(Object.keys(lock.packages).length, 50);
  });

  it.each([
    [{ version: "1.0.0", license: "GPL-3.0-only" }, "a 1.0.0: GPL-3.0-only, which is not on the list for deployment"],
    [{ version: "1.0.0" }, "a 1.0.0: no licence is named, which is not on the list for deployment"],
    [{ version: "1.0.0", license: "MPL-2.0" }, "a 1.0.0: MPL-2.0, which is not on the list for deployment"],
    [
      { version: "1.0.0", license: "MIT AND GPL-2.0" },
      "a 1.0.0: MIT AND GPL-2.0, which is not on the list for deployment",
    ],
    [
      { version: "1.0.0", license: "AGPL-3.0", dev: true },
      "a 1.0.0: AGPL-3.0, which is not on the list for development",
    ],
  ])("that are not are told: %o", (about, problem) => {
    assert.deepEqual(licenceProblems({ "": {}, "node_modules/b/node_modules/a": about }), [problem]);
  });

  it("may be a choice", () => {
    assert.deepEqual(licenceProblems({ "node_modules/a": { license: "(GPL-2.0 OR MIT)" } }), []);
    assert.deepEqual(licenceProblems({ "node_modules/a": { license: "MPL-2.0", dev: true } }), []);
  });
});

describe("the bill of materials", { timeout: 120_000 }, () => {
  it("is CycloneDX, and has every dependency with version and licence, MLX among them, and nothing of development", () => {
    const sbom = makeSbom(join(import.meta.dirname, "../.."));
    assert.equal(sbom.bomFormat, "CycloneDX");
    assert.match(sbom.specVersion, /^1\.\d$/);
    assert.equal(sbom.metadata.component.name, "mlxd");
    const names = new Set(sbom.components.map(({ name }) => name));
    for (const dependency of Object.keys(about.dependencies)) assert.isTrue(names.has(dependency), dependency);
    for (const library of ["mlx-cpu", "mlx-metal"]) assert.isTrue(names.has(library), library);
    for (const tool of ["vitest", "typescript", "oxlint"]) assert.isFalse(names.has(tool), tool);
    for (const { name, version, purl, licenses } of sbom.components) {
      assert.isNotEmpty(version, name);
      assert.match(purl, /^pkg:(npm|pypi)\//, name);
      assert.isNotEmpty(licenses, name);
    }
    const known = new Set(sbom.components.map((component) => component["bom-ref"]));
    for (const { ref } of sbom.dependencies.slice(1)) assert.isTrue(known.has(ref), ref);
  });
});
