/**
 * Copies a typed array to a list. `Array.from` uses an iterator and takes eight times as long: 60 ms for a million
 * numbers.
 */
export const numbersOf = (values: Uint32Array): number[] => {
  const numbers: number[] = [];
  numbers.length = values.length;
  for (let at = 0; at < values.length; at++) numbers[at] = values[at] ?? 0;
  return numbers;
};
