/**
 * The pages as documents. Merges had left paragraphs twice, a section upside down, headings without a body and examples
 * outside their fences.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (page: string): string => readFileSync(join(root, page), "utf8");
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"))
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
];

/** Blocks between blank lines, fenced ones as one each. */
const blocksOf = (page: string): ReadonlyArray<string> => {
  const blocks: string[] = [];
  let open = false;
  let block: string[] = [];
  const close = (): void => {
    if (block.length > 0) blocks.push(block.join("\n"));
    block = [];
  };
  for (const line of read(page).split("\n")) {
    const isFence = line.trimStart().startsWith("```");
    if (isFence && !open) close();
    if (line === "" && !open) close();
    else block.push(line);
    if (isFence && open) close();
    if (isFence) open = !open;
  }
  close();
  assert.isFalse(open, `${page}: a fence is not closed`);
  return blocks;
};

const levelOf = (block: string): number => /^#{1,6}(?= )/.exec(block)?.[0].length ?? 0;
const anchorOf = (block: string): string =>
  block
    .split("\n", 1)[0]
    ?.replace(/^#+ /, "")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
    .replaceAll(" ", "-") ?? "";

describe.each(pages)("%s", (page) => {
  const blocks = blocksOf(page);

  it("has a body under every heading, and one title", () => {
    for (const [at, block] of blocks.entries()) {
      const level = levelOf(block);
      if (level === 0 || block.includes("\n")) continue;
      const next = blocks[at + 1];
      assert.isDefined(next, `nothing follows "${block}"`);
      const below = levelOf(next ?? "");
      assert.isTrue(below === 0 || below === level + 1, `"${block}" has no body`);
    }
    assert.deepStrictEqual(blocks.filter((block) => levelOf(block) === 1).length, 1);
    assert.strictEqual(levelOf(blocks[0] ?? ""), 1);
  });

  it("says nothing twice", () => {
    const long = blocks.filter((block) => block.length > 60);
    assert.deepStrictEqual(
      long.filter((block, at) => long.indexOf(block) !== at),
      [],
    );
    const headings = blocks.filter((block) => levelOf(block) > 0);
    assert.strictEqual(new Set(headings).size, headings.length);
  });

  it("has programs in fences alone, which say what they are", () => {
    for (const block of blocks) {
      if (!block.startsWith("```")) assert.notMatch(block, /^(?:const|import|await|console\.)\b/m, page);
    }
  });

  it("leads to pages and headings that are there", () => {
    for (const block of blocks) {
      if (block.startsWith("```")) continue;
      for (const [, target = ""] of block.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        const [file = "", anchor] = target.split("#");
        const path = file === "" ? page : join(dirname(page), file);
        assert.isTrue(existsSync(join(root, path)), `${target} is not there`);
        if (anchor === undefined) continue;
        const anchors = blocksOf(path)
          .filter((each) => levelOf(each) > 0)
          .map(anchorOf);
        assert.include(anchors, anchor, target);
      }
    }
  });
});

it("no paragraph stands on two pages", () => {
  const seen = new Map<string, string>();
  for (const page of pages) {
    for (const block of blocksOf(page)) {
      if (block.length < 120 || block.startsWith("```")) continue;
      assert.isUndefined(seen.get(block), `${page} and ${seen.get(block) ?? ""}: ${block.slice(0, 80)}`);
      seen.set(block, page);
    }
  }
});

it("every page with examples of the client or the command has them run", () => {
  const run = read("test/examples.test.ts");
  const alsoRun = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(?:test|long)\.ts$/.test(file) && !file.endsWith("pages.test.ts"))
    .map((file) => read(join("test", file)))
    .join("\n");
  for (const page of pages) {
    const programs = blocksOf(page).filter((block) => /^```(?:ts|sh)\b/.test(block));
    // What sets up or tests the checkout itself is run by whoever runs the tests.
    const isRun = programs.some((block) => !/^```(?:sh|ts) no-run|^```sh\nnpm /.test(block));
    if (isRun) assert.isTrue(run.includes(`"${page}"`) || alsoRun.includes(page.split("/").at(-1) ?? ""), page);
  }
});
