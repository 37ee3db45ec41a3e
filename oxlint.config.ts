import { fileURLToPath } from "node:url";
import { defineConfig } from "oxlint";

import { boundaries, environmentProperties } from "./boundaries.config.ts";

export default defineConfig({
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: "error" },
  ignorePatterns: ["/src/client/gen", "/vendor", "/models"],
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "node", "promise"],
  jsPlugins: [fileURLToPath(new URL("scripts/lint/import-order.ts", import.meta.url))],
  categories: { correctness: "error" },
  rules: {
    eqeqeq: "error",
    "no-console": "error",
    "no-var": "error",
    "prefer-const": "error",
    "import/first": "error",
    "import/no-cycle": ["error", { ignoreTypes: false }],
    "import/no-duplicates": "error",
    "import/no-default-export": "error",
    "import/no-mutable-exports": "error",
    "import/no-self-import": "error",
    "own/import-order": "error",
    "no-restricted-properties": ["error", ...environmentProperties],
    "typescript/ban-ts-comment": "error",
    "typescript/consistent-type-imports": "error",
    "typescript/no-deprecated": "error",
    "typescript/no-explicit-any": "error",
    "typescript/no-misused-promises": "error",
    // It refuses [...text], which takes text apart by code point: what is wanted here. Its `allow` knows no string type.
    "typescript/no-misused-spread": "off",
    "typescript/no-non-null-assertion": "error",
    "typescript/no-unnecessary-type-assertion": "error",
    "typescript/no-unsafe-argument": "error",
    "typescript/no-unsafe-assignment": "error",
    "typescript/no-unsafe-call": "error",
    "typescript/no-unsafe-member-access": "error",
    "typescript/no-unsafe-return": "error",
    "typescript/only-throw-error": "error",
    "typescript/prefer-promise-reject-errors": "error",
    "typescript/return-await": ["error", "error-handling-correctness-only"],
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    "unicorn/prefer-node-protocol": "error",
  },
  overrides: [
    ...boundaries,
    {
      files: ["scripts/**", "examples/**"], // programs that talk to a terminal
      rules: { "no-console": "off" },
    },
    {
      files: ["test/**"], // JSON that a test has just written needs no decoding
      rules: {
        "typescript/no-unsafe-argument": "off",
        "typescript/no-unsafe-assignment": "off",
        "typescript/no-unsafe-call": "off",
        "typescript/no-unsafe-member-access": "off",
        "typescript/no-unsafe-return": "off",
      },
    },
    {
      files: [
        "*.config.ts",
        "scripts/lint/*.ts",
        "test/support/report.ts",
        "{examples/worker,test/runtime/worker-program}.ts",
      ], // what their readers ask for
      rules: { "import/no-default-export": "off" },
    },
  ],
});
