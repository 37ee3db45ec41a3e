/**
 * A radix tree: values by sequences of ids, found by the longest common prefix. The cost of a lookup depends on the
 * length of the requested sequence, not on how many are stored.
 */

/** A token's id, or an identifier of something else in its place, such as an image's digest. */
export type PrefixId = number | string;

export interface Match<Value> {
  readonly value: Value;
  /** Length of the common prefix with the requested sequence. */
  readonly tokens: number;
}

export class PrefixTree<Value> {
  private readonly root: Node<Value> = createNode(undefined, [], 0, 0);

  get isEmpty(): boolean {
    return this.root.children.size === 0;
  }

  /** A value with the longest common prefix; undefined if none shares a token. */
  longest(tokenIds: ReadonlyArray<PrefixId>): Match<Value> | undefined {
    const { node, tokens } = this.walk(tokenIds);
    if (tokens === 0) return undefined;
    // All sequences below share this prefix.
    let found = node;
    while (found.value === undefined) {
      const [first] = found.children.values();
      if (first === undefined) return undefined;
      found = first;
    }
    return { value: found.value, tokens };
  }

  /** The values of all sequences that are a prefix of this one, itself included. */
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
    // A node without a value needs at least two children.
    let at = node;
    while (at.parent !== undefined && at.value === undefined && at.children.size === 0) {
      at.parent.children.delete(firstToken(at));
      at = at.parent;
    }
    if (at.value === undefined && at.children.size === 1) joinChild(at);
  }

  /** The deepest node that shares a token beyond its parent's, and the length of the common prefix. */
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
  /** A sequence that leads to this node; its part between `start` and `end` is the edge from the parent. */
  tokenIds: ReadonlyArray<PrefixId>;
  start: number;
  readonly end: number;
  value: Value | undefined;
  /** By their first token. */
  readonly children: Map<PrefixId, Node<Value>>;
}

const createNode = <Value>(
  parent: Node<Value> | undefined,
  tokenIds: ReadonlyArray<PrefixId>,
  start: number,
  end: number,
): Node<Value> => ({ parent, tokenIds, start, end, value: undefined, children: new Map() });

const firstToken = <Value>({ tokenIds, start }: Node<Value>): PrefixId => tokenIds[start] ?? -1;

/** Inserts a node after this many tokens of the edge, and returns it. */
const splitAt = <Value>(node: Node<Value>, tokens: number): Node<Value> => {
  const before = createNode(node.parent, node.tokenIds, node.start, tokens);
  node.parent?.children.set(firstToken(before), before);
  node.parent = before;
  node.start = tokens;
  before.children.set(firstToken(node), node);
  return before;
};

/** Replaces a node by its only child. */
const joinChild = <Value>(node: Node<Value>): void => {
  const [child] = node.children.values();
  if (child === undefined || node.parent === undefined) return;
  child.parent = node.parent;
  child.start = node.start;
  node.parent.children.set(firstToken(child), child);
};
