/**
 * Values by sequences of ids, found by the longest beginning that one shares with another: a radix tree. What a
 * lookup costs depends on the sequence that is asked for and not on how many are kept.
 */

/** A token's id, or what tells apart something else in its place: the digest of an image, say. */
export type PrefixId = number | string;

export interface Match<Value> {
  readonly value: Value;
  /** Tokens that its sequence has in common with the one that was asked for, from the first on. */
  readonly tokens: number;
}

export class PrefixTree<Value> {
  private readonly root: Node<Value> = createNode(undefined, [], 0, 0);

  get isEmpty(): boolean {
    return this.root.children.size === 0;
  }

  /** One that shares the longest beginning; undefined where none shares a token. */
  longest(tokenIds: ReadonlyArray<PrefixId>): Match<Value> | undefined {
    const { node, tokens } = this.walk(tokenIds);
    if (tokens === 0) return undefined;
    // All that is below begins alike.
    let found = node;
    while (found.value === undefined) {
      const [first] = found.children.values();
      if (first === undefined) return undefined;
      found = first;
    }
    return { value: found.value, tokens };
  }

  /** Those whose sequences this one begins with, itself included. */
  beginningsOf(tokenIds: ReadonlyArray<PrefixId>): ReadonlyArray<Value> {
    const { node, tokens } = this.walk(tokenIds);
    const values: Value[] = [];
    for (let at: Node<Value> | undefined = node; at !== undefined; at = at.parent) {
      if (at.value !== undefined && at.end <= tokens) values.push(at.value);
    }
    return values;
  }

  set(tokenIds: ReadonlyArray<PrefixId>, value: Value): void {
    const { node, tokens } = this.walk(tokenIds);
    const parent = tokens < node.end ? splitAt(node, tokens) : node;
    if (tokens === tokenIds.length) {
      parent.value = value;
      return;
    }
    const leaf = createNode<Value>(parent, tokenIds, tokens, tokenIds.length);
    leaf.value = value;
    parent.children.set(firstToken(leaf), leaf);
  }

  delete(tokenIds: ReadonlyArray<PrefixId>): void {
    const { node, tokens } = this.walk(tokenIds);
    if (tokens !== tokenIds.length || tokens !== node.end) return;
    node.value = undefined;
    // Nodes without a value are there for two children at least.
    let at = node;
    while (at.parent !== undefined && at.value === undefined && at.children.size === 0) {
      at.parent.children.delete(firstToken(at));
      at = at.parent;
    }
    if (at.value === undefined && at.children.size === 1) joinChild(at);
  }

  /** The deepest node that shares a token beyond its parent's, and how many tokens are shared in all. */
  private walk(tokenIds: ReadonlyArray<PrefixId>): { readonly node: Node<Value>; readonly tokens: number } {
    let node = this.root;
    let tokens = 0;
    for (;;) {
      const next = tokens < tokenIds.length ? node.children.get(tokenIds[tokens] ?? -1) : undefined;
      if (next === undefined) return { node, tokens };
      node = next;
      const most = Math.min(next.end, tokenIds.length);
      while (tokens < most && next.tokenIds[tokens] === tokenIds[tokens]) tokens += 1;
      if (tokens < next.end) return { node, tokens };
    }
  }
}

interface Node<Value> {
  parent: Node<Value> | undefined;
  /** A sequence that leads here; the way from the parent is what lies between `start` and `end` of it. */
  tokenIds: ReadonlyArray<PrefixId>;
  start: number;
  readonly end: number;
  value: Value | undefined;
  /** By their first tokens. */
  readonly children: Map<PrefixId, Node<Value>>;
}

const createNode = <Value>(
  parent: Node<Value> | undefined,
  tokenIds: ReadonlyArray<PrefixId>,
  start: number,
  end: number,
): Node<Value> => ({ parent, tokenIds, start, end, value: undefined, children: new Map() });

const firstToken = <Value>({ tokenIds, start }: Node<Value>): PrefixId => tokenIds[start] ?? -1;

/** Puts a node of this many tokens before it, and returns that. */
const splitAt = <Value>(node: Node<Value>, tokens: number): Node<Value> => {
  const before = createNode(node.parent, node.tokenIds, node.start, tokens);
  node.parent?.children.set(firstToken(before), before);
  node.parent = before;
  node.start = tokens;
  before.children.set(firstToken(node), node);
  return before;
};

/** Lets the only child take its place. */
const joinChild = <Value>(node: Node<Value>): void => {
  const [child] = node.children.values();
  if (child === undefined || node.parent === undefined) return;
  child.parent = node.parent;
  child.start = node.start;
  node.parent.children.set(firstToken(child), child);
};
