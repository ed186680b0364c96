/** Relative error of RCPSS and RSQRTSS. SDM 2B "RCPSS", "RSQRTSS". */
const BOUND = 1.5 * 2 ** -12;

const INFINITY = 0x7f80_0000;

/**
 * Whether two results of RCPSS or RSQRTSS for one operand, as bits of binary32, are both within the bound around the
 * same true value. What is no normal number must be equal.
 */
export function nearReciprocal(a: number, b: number): boolean {
  if (a === b) return true;
  const exponents = [a, b].map((bits) => bits & INFINITY);
  if (exponents.includes(0) || exponents.includes(INFINITY)) return false;
  const [x, y] = Array.from(new Float32Array(Uint32Array.of(a, b).buffer)) as [number, number];
  const [least, most] = [Math.min(Math.abs(x), Math.abs(y)), Math.max(Math.abs(x), Math.abs(y))];
  return Math.sign(x) === Math.sign(y) && most / least <= (1 + BOUND) / (1 - BOUND);
}
