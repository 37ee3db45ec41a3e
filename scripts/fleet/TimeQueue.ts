/** What happens when: a binary heap, the earliest on top. Equal times come in the order in which they were added. */
export class TimeQueue<A> {
  readonly #heap: Array<Entry<A>> = [];
  #added = 0;

  add(time: number, value: A): void {
    const heap = this.#heap;
    const entry = { time, order: this.#added++, value };
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isEarlier(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  /** Throws where nothing is left. */
  next(): { readonly time: number; readonly value: A } {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) throw new Error("nothing happens any more");
    if (first === last) return first;
    let at = 0;
    while (true) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      if (left === undefined) break;
      const isRight = right !== undefined && isEarlier(right, left);
      const child = isRight ? right : left;
      if (!isEarlier(child, last)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
    return first;
  }
}

interface Entry<A> {
  readonly time: number;
  readonly order: number;
  readonly value: A;
}

const isEarlier = <A>(one: Entry<A>, other: Entry<A>): boolean =>
  one.time === other.time ? one.order < other.order : one.time < other.time;
