/** All that comes, once it has ended; fails as it fails. */
export const collect = async <A>(iterable: AsyncIterable<A>): Promise<A[]> => {
  const all: A[] = [];
  for await (const one of iterable) all.push(one);
  return all;
};
