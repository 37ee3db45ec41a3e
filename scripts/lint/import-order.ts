/** A lint rule: imports of Node's modules come first, then those of packages, then those of own files. */

interface Node {
  readonly type: string;
}

interface Import extends Node {
  readonly source: { readonly value: string };
}

interface RuleContext {
  readonly report: (problem: { readonly node: Node; readonly message: string }) => void;
}

const kinds = ["a module of Node", "a package", "an own file"] as const;

const kindOf = (specifier: string): 0 | 1 | 2 => {
  if (specifier.startsWith("node:")) return 0;
  return specifier.startsWith(".") ? 2 : 1;
};

const isImport = (node: Node): node is Import => node.type === "ImportDeclaration";

const order = {
  create: (context: RuleContext) => ({
    Program: ({ body }: { readonly body: ReadonlyArray<Node> }) => {
      let latest: 0 | 1 | 2 = 0;
      for (const node of body.filter(isImport)) {
        const kind = kindOf(node.source.value);
        if (kind < latest) {
          const message = `the import of ${kinds[kind]} belongs before that of ${kinds[latest]}`;
          context.report({ node, message });
        } else latest = kind;
      }
    },
  }),
};

export default { meta: { name: "own" }, rules: { "import-order": order } };
