// Which file may import what: the table of CONTRIBUTING.md, as the linter's overrides. test/tooling/boundaries.test.ts tests each rule.
import type { OxlintOverride } from "oxlint";

/**
 * Which folders of src/service a folder may import, itself apart. Imports point one way:
 * server -> rpc -> (jobs ->) pipeline -> (models -> engine, sandbox -> prompt, output), admission -> domain.
 * `worker` stands for worker/protocol/: the rest of that folder is a program of its own, in its own process.
 */
export const mayImport = {
  domain: [],
  config: ["domain"],
  telemetry: ["domain", "config"],
  processes: [],
  prompt: ["domain"],
  output: ["domain"],
  admission: ["domain", "config", "telemetry"],
  wire: ["domain"],
  calls: ["domain", "config", "telemetry"],
  access: ["domain", "config", "telemetry"],
  checkpoint: ["domain", "prompt"],
  sandbox: ["domain", "config", "telemetry", "processes", "prompt", "output", "checkpoint", "wire"],
  engine: ["domain", "config", "telemetry", "processes", "prompt", "output", "worker"],
  models: ["domain", "config", "telemetry", "prompt", "output", "checkpoint", "sandbox", "engine"],
  pipeline: ["domain", "config", "telemetry", "access", "prompt", "output", "sandbox", "admission", "engine", "models"],
  load: ["domain", "config", "telemetry", "admission", "models"],
  jobs: ["domain", "config", "telemetry", "processes", "access", "admission", "pipeline", "models"],
  rpc: [
    "domain",
    "config",
    "telemetry",
    "prompt",
    "wire",
    "calls",
    "access",
    "sandbox",
    "admission",
    "engine",
    "models",
    "pipeline",
    "load",
    "jobs",
  ],
  server: [
    "domain",
    "config",
    "telemetry",
    "admission",
    "wire",
    "calls",
    "access",
    "engine",
    "models",
    "pipeline",
    "load",
    "jobs",
    "rpc",
  ],
  doctor: ["domain", "config", "engine", "models", "server", "worker"],
  worker: [],
} satisfies Record<string, readonly string[]>;

/**
 * The wings of the large folders and the files beside them, lowest first: what each may import of the others. A wing never
 * imports one that stands after it.
 */
export const wings: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  worker: {
    protocol: [],
    "parent-watch.ts": [],
    binding: ["protocol"],
    "mlx.ts": ["binding"],
    "device-memory.ts": ["mlx.ts"],
    "turn.ts": [],
    "describe.ts": ["protocol", "binding", "mlx.ts"],
    files: ["mlx.ts"],
    cache: ["protocol", "mlx.ts"],
    sampling: ["protocol", "mlx.ts"],
    sequence: ["protocol", "mlx.ts", "sampling"],
    adapters: ["protocol", "mlx.ts", "files", "sequence"],
    weights: ["mlx.ts", "files", "adapters"],
    layers: ["mlx.ts", "files", "adapters", "weights"],
    architectures: ["mlx.ts", "files", "cache", "adapters", "weights", "layers"],
    "checkpoint.ts": ["mlx.ts", "files", "cache", "weights", "architectures"],
    "self-check.ts": ["mlx.ts", "files", "cache", "architectures"],
    constraints: ["protocol", "mlx.ts", "sequence"],
    speculation: ["protocol", "mlx.ts", "files", "cache", "sampling", "sequence", "architectures", "checkpoint.ts"],
    scheduler: [
      "protocol",
      "mlx.ts",
      "cache",
      "sampling",
      "sequence",
      "adapters",
      "architectures",
      "constraints",
      "speculation",
    ],
    "main.ts": [
      "protocol",
      "mlx.ts",
      "device-memory.ts",
      "turn.ts",
      "files",
      "architectures",
      "checkpoint.ts",
      "self-check.ts",
      "constraints",
      "speculation",
      "scheduler",
    ],
  },
  models: {
    names: [],
    files: [],
    memory: ["files"],
    catalog: ["names", "files"],
    prompting: ["files", "catalog"],
    smoke: [],
    download: ["names"],
    "Models.ts": ["names", "memory", "prompting"],
    residency: ["names", "files", "memory", "catalog", "prompting", "Models.ts"],
  },
};

/** The folders that speak Connect. */
const edge = ["rpc", "server"];
/** The folders that know the API's messages: those, and the one that reads requests. */
const generated = [...edge, "wire"];

interface Pattern {
  readonly regex?: string;
  readonly group?: string[];
  readonly message: string;
}

// The rule sees the specifier as it is written, so a sibling folder is `../` (once or more) and the folder's name.
const sibling = (folder: string, message: string): Pattern => ({ regex: `^(\\.\\./)+(service/)?${folder}/`, message });

const onlyWorker = "only src/service/worker loads MLX";
const mlx: Pattern = { group: ["@frost-beta/mlx"], message: onlyWorker };
/** The tests assert in one way: `assert`. */
const noExpect = ["vitest", "@effect/vitest"].map((name) => ({
  name,
  importNames: ["expect"],
  message: "tests use assert; support/assert-matches.ts compares in part",
}));
// Its own declarations do not compile here, so the worker requires it and declares what it uses.
const mlxRequired = { name: "node:module", importNames: ["createRequire"], message: onlyWorker };
const workerInside: Pattern = {
  group: ["**/worker/**", "!**/worker/protocol/**"],
  message: "outside of worker/ only worker/protocol/ is imported",
};
const connect: Pattern = { group: ["@connectrpc/*"], message: "Connect stays in rpc/, server/ and src/client" };
const connectNode: Pattern = {
  group: ["@connectrpc/connect-node"],
  message: "only node.ts and node/ of the client need Node",
};
const aiSdk: Pattern = {
  regex: "^(ai|@ai-sdk/.*)(/|$)",
  message: "only ai-sdk/ of the client needs the AI SDK",
};
const grpcJs: Pattern = { group: ["@grpc/grpc-js"], message: "only grpc/ of the client needs grpc-js" };
const effect: Pattern = {
  regex: "^(effect|@effect/.*)(/|$)",
  message: "no effect in src/client but in its effect/, and none in the token loop",
};
const node: Pattern = { regex: "^node:", message: "node: modules only in node.ts and node/ of the client" };
const client: Pattern = {
  group: ["**/client/**"],
  message: "only wire/, rpc/ and server/ import src/client, and of it gen/",
};
const clientBesideGen: Pattern = { group: ["**/client/**", "!**/client/gen/**"], message: client.message };
const service: Pattern = { regex: "(^|/)service/", message: "src/client knows nothing of src/service" };
const serviceBesideMain: Pattern = {
  group: ["**/service/**", "!**/service/main.ts", "!**/service/doctor/diagnose.ts"],
  message:
    "src/cli talks to the service through src/client; `serve` starts service/main.ts, `doctor` asks service/doctor/diagnose.ts",
};
const clientBesideNode: Pattern = {
  group: ["**/client/**", "!**/client/node.ts"],
  message: "src/cli imports of src/client only node.ts",
};
const program: Pattern = {
  regex: "^(\\.\\./)+(test|scripts|cli)/",
  message: "src imports no test and no script, and nothing imports src/cli",
};
// No look-ahead in this regular expression dialect: neither "." nor "effect" at the start.
const anyPackage: Pattern = { regex: "^([^.e]|e[^f])", message: "domain/ imports effect only" };

const onlyConfig = "only config/ reads the environment";
const environmentImports = [
  { name: "node:process", importNames: ["env"], message: onlyConfig },
  { name: "effect", importNames: ["Config", "ConfigProvider"], message: onlyConfig },
  { name: "effect/Config", message: onlyConfig },
  { name: "effect/ConfigProvider", message: onlyConfig },
];
/** What no file but those of config/ reads of the process. */
export const environmentProperties = [
  { object: "process", property: "env", message: onlyConfig },
  { object: "globalThis", property: "process", message: onlyConfig },
];

/** One override for files that import nothing of `patterns`: a later one for the same file replaces it whole. */
const refuse = (files: string[], patterns: readonly Pattern[], paths: readonly object[] = []) => ({
  files,
  rules: { "no-restricted-imports": ["error", { patterns: [...patterns], paths: [...paths] }] as never },
});

const folders = Object.keys(mayImport) as (keyof typeof mayImport)[];

/** What all files of a folder are refused. */
const folderRules = (folder: keyof typeof mayImport) => {
  const allowed: readonly string[] = mayImport[folder];
  const refused = folders.filter((other) => other !== folder && other !== "worker" && !allowed.includes(other));
  const patterns = refused.map((other) => sibling(other, `${folder}/ may not import ${other}/`));
  if (folder === "worker") patterns.push(effect);
  else patterns.push(mlx, allowed.includes("worker") ? workerInside : sibling("worker", workerInside.message));
  if (folder === "domain") patterns.push(anyPackage);
  patterns.push(generated.includes(folder) ? clientBesideGen : client, program);
  if (!edge.includes(folder)) patterns.push(connect);
  const paths = [...(folder === "worker" ? [] : [mlxRequired]), ...(folder === "config" ? [] : environmentImports)];
  return { patterns, paths };
};

const serviceFolder = (folder: keyof typeof mayImport) => {
  const { patterns, paths } = folderRules(folder);
  const all = refuse([`src/service/${folder}/**`], patterns, paths);
  const ofFolder = Object.entries(wings[folder] ?? {});
  const refusedIn = ([wing, allowed]: (typeof ofFolder)[number]) => {
    const up = wing.endsWith(".ts") ? "\\./" : "\\.\\./";
    const others = ofFolder.map(([other]) => other).filter((other) => other !== wing && !allowed.includes(other));
    const inside = others.map((other) => ({
      regex: `^${up}${other.replace(".", "\\.")}(/|$)`,
      message: `${folder}/${wing} may not import ${folder}/${other}`,
    }));
    const files = wing.endsWith(".ts") ? `src/service/${folder}/${wing}` : `src/service/${folder}/${wing}/**`;
    return refuse([files], [...patterns, ...inside], paths);
  };
  return [all, ...ofFolder.map(refusedIn)];
};

/** One after the other: a later one for the same file replaces an earlier one whole. */
export const boundaries: OxlintOverride[] = [
  refuse(["src/client/**"], [effect, node, connectNode, grpcJs, aiSdk, mlx, service, program]),
  refuse(["src/client/node.ts", "src/client/node/**"], [effect, grpcJs, aiSdk, mlx, service, program], [mlxRequired]),
  refuse(["src/client/grpc/**"], [effect, node, connectNode, aiSdk, mlx, service, program]),
  refuse(["src/client/ai-sdk/**"], [effect, node, connectNode, grpcJs, mlx, service, program]),
  refuse(["src/client/effect/**"], [node, connectNode, grpcJs, aiSdk, mlx, service, program]),
  refuse(["src/cli/**"], [effect, connect, mlx, clientBesideNode, serviceBesideMain, program], [mlxRequired]),
  refuse(["src/service/*.ts"], [mlx, workerInside, connect, program], [mlxRequired, ...environmentImports]),
  ...folders.flatMap(serviceFolder),
  refuse(["test/**", "scripts/**"], [mlx, workerInside], [mlxRequired, ...noExpect]),
  // Programs that compute with MLX, and tests that make checkpoints with it.
  refuse(
    [
      "test/binding/**",
      "test/service/worker/**",
      "test/service/engine/mlx/**",
      "scripts/train-demo/**",
      "scripts/mac-check/**",
      "scripts/parity.ts",
      "scripts/parity/**",
      "scripts/bench/**",
    ],
    [],
    noExpect,
  ),
  {
    // worker/layers/openblas.ts reads what OpenBLAS itself reads; worker/binding/choose.ts what tests set, too.
    files: [
      "src/service/config/**",
      "src/service/worker/{layers/openblas,binding/choose}.ts",
      "scripts/**",
      "deploy/**",
      "test/**",
      "examples/**",
    ],
    rules: { "no-restricted-properties": "off" },
  },
];
