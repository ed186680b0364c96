import * as cpu from "../../src/layout/cpu-state.ts";
import { GuestFault } from "./faults.ts";
import type { State } from "./state.ts";

// Models of src/core/integer and of accesses to single elements, each by another way than the core's.

type Model = (state: State, ...args: bigint[]) => bigint | void;

const bitOf = (value: bigint, index: number): bigint => (value >> BigInt(index)) & 1n;
const INDICES = Array.from({ length: 64 }, (_, i) => i);

/** The places of the bits that are set. */
const placesOf = (mask: bigint): number[] => INDICES.filter((i) => bitOf(mask, i) === 1n);

/** Remainder of a polynomial over GF(2), by long division. */
function remainder(polynomial: bigint, divisor: bigint): bigint {
  const degree = divisor.toString(2).length - 1;
  let rest = polynomial;
  for (let length = rest.toString(2).length; length > degree; length = rest.toString(2).length) {
    if (rest === 0n) return 0n;
    rest ^= divisor << BigInt(length - 1 - degree);
  }
  return rest;
}

function product(a: bigint, b: bigint): bigint {
  return placesOf(b).reduce((sum, i) => sum ^ (a << BigInt(i)), 0n);
}

const reversed = (value: bigint, bits: number): bigint =>
  INDICES.slice(0, bits).reduce((all, i) => all | (bitOf(value, i) << BigInt(bits - 1 - i)), 0n);

const CASTAGNOLI = 0x11edc6f41n;
const AES_POLYNOMIAL = 0x11bn;

const timesInField = (a: bigint, b: bigint): bigint => remainder(product(a, b), AES_POLYNOMIAL);

/** FIPS 197, "SubBytes()": the inverse, found by trying, and an affine map. */
const SUBSTITUTES: readonly bigint[] = Array.from({ length: 256 }, (_, value) => {
  const inverse = Array.from({ length: 256 }, (_, i) => BigInt(i)).find(
    (candidate) => timesInField(BigInt(value), candidate) === 1n,
  );
  const b = inverse ?? 0n;
  let result = 0n;
  for (let i = 0; i < 8; i++) {
    const bit = [0, 4, 5, 6, 7].reduce((sum, offset) => sum ^ bitOf(b, (i + offset) % 8), bitOf(0x63n, i));
    result |= bit << BigInt(i);
  }
  return result;
});
const INVERSE_SUBSTITUTES: readonly bigint[] = SUBSTITUTES.map((_, value) =>
  BigInt(SUBSTITUTES.indexOf(BigInt(value))),
);

const bytesOf = (low: bigint, high: bigint): bigint[] =>
  Array.from({ length: 16 }, (_, i) => (((high << 64n) | low) >> BigInt(8 * i)) & 0xffn);

function leave(state: State, bytes: readonly bigint[]): void {
  const value = bytes.reduceRight((all, byte) => (all << 8n) | byte, 0n);
  state.results[0] = BigInt.asUintN(64, value);
  state.results[1] = value >> 64n;
}

/** A matrix of the coefficients, rotated row by row, times each column. */
function mixColumns(bytes: readonly bigint[], coefficients: readonly bigint[]): bigint[] {
  return bytes.map((_, i) => {
    const column = i - (i % 4);
    return [0, 1, 2, 3].reduce(
      (sum, row) => sum ^ timesInField(bytes[column + row]!, coefficients[(row - (i % 4) + 4) % 4]!),
      0n,
    );
  });
}

const MIX = [2n, 3n, 1n, 1n];
const INVERSE_MIX = [14n, 11n, 13n, 9n];

/** Row r of column c comes from column c + r (encryption) or c - r. */
const shiftRows = (bytes: readonly bigint[], direction: 1 | -1): bigint[] =>
  bytes.map((_, i) => bytes[(i + 4 * direction * (i % 4) + 64) % 16]!);

/** The elements of a string, as the control byte has them read. */
function elementsOf(low: bigint, high: bigint, control: number): bigint[] {
  const bits = control & 1 ? 16 : 8;
  const all = (high << 64n) | low;
  return Array.from({ length: 128 / bits }, (_, i) => {
    const element = BigInt.asUintN(bits, all >> BigInt(bits * i));
    return control & 2 ? BigInt.asIntN(bits, element) : element;
  });
}

/** The table "Comparison Result for Each Element Pair", then the aggregation over it. */
function compareStrings(a: bigint[], b: bigint[], aLength: number, bLength: number, control: number): bigint {
  const count = a.length;
  const all = Array.from({ length: count }, (_, i) => i);
  const mode = (control >> 2) & 3;
  const pair = (i: number, j: number, holds: boolean): boolean => {
    const [aValid, bValid] = [i < aLength, j < bLength];
    if (aValid && bValid) return holds;
    if (mode < 2) return false;
    if (mode === 2) return !aValid && !bValid;
    return !aValid;
  };
  const bit = (j: number): boolean => {
    if (mode === 0) return all.some((i) => pair(i, j, a[i] === b[j]));
    if (mode === 1)
      return all.some((i) => i % 2 === 0 && pair(i, j, a[i]! <= b[j]!) && pair(i + 1, j, b[j]! <= a[i + 1]!));
    if (mode === 2) return pair(j, j, a[j] === b[j]);
    return all.slice(0, count - j).every((i) => pair(i, i + j, a[i] === b[i + j]));
  };
  let result = all.reduce((sum, j) => sum | (bit(j) ? 1 << j : 0), 0);
  if ((control & 0x30) === 0x10) result ^= (1 << count) - 1;
  if ((control & 0x30) === 0x30) for (const j of all) if (j < bLength) result ^= 1 << j;
  return BigInt(result | (aLength < count ? 1 << 16 : 0) | (bLength < count ? 1 << 17 : 0));
}

function lengthIn(register: bigint, count: number): number {
  const value = BigInt.asIntN(64, register);
  const magnitude = value < 0n ? -value : value;
  return magnitude > BigInt(count) ? count : Number(magnitude);
}

function firstZero(elements: readonly bigint[]): number {
  const found = elements.indexOf(0n);
  return found < 0 ? elements.length : found;
}

export const INTEGER_HELPERS: Readonly<Record<string, Model>> = {
  pdep: (_state, source, mask) =>
    placesOf(mask!).reduce((all, place, i) => all | (bitOf(source!, i) << BigInt(place)), 0n),
  pext: (_state, source, mask) =>
    placesOf(mask!).reduce((all, place, i) => all | (bitOf(source!, place) << BigInt(i)), 0n),
  crc32(_state, crc, value, bits) {
    const width = Number(bits);
    const message = reversed(BigInt.asUintN(width, value!), width);
    const before = reversed(crc!, 32);
    return reversed(remainder((message << 32n) ^ (before << BigInt(width)), CASTAGNOLI), 32);
  },
  multiplyCarryLess(state, a, b) {
    const result = product(a!, b!);
    state.results[0] = BigInt.asUintN(64, result);
    state.results[1] = result >> 64n;
  },
  compareStringsExplicit(_state, aLow, aHigh, bLow, bHigh, aLength, bLength, control) {
    const mode = Number(control);
    const [a, b] = [elementsOf(aLow!, aHigh!, mode), elementsOf(bLow!, bHigh!, mode)];
    return compareStrings(a, b, lengthIn(aLength!, a.length), lengthIn(bLength!, b.length), mode);
  },
  compareStringsImplicit(_state, aLow, aHigh, bLow, bHigh, control) {
    const mode = Number(control);
    const [a, b] = [elementsOf(aLow!, aHigh!, mode), elementsOf(bLow!, bHigh!, mode)];
    return compareStrings(a, b, firstZero(a), firstZero(b), mode);
  },
  aesEncrypt(state, low, high, last) {
    const bytes = shiftRows(bytesOf(low!, high!), 1).map((byte) => SUBSTITUTES[Number(byte)]!);
    leave(state, last === 1n ? bytes : mixColumns(bytes, MIX));
  },
  aesDecrypt(state, low, high, last) {
    const bytes = shiftRows(bytesOf(low!, high!), -1).map((byte) => INVERSE_SUBSTITUTES[Number(byte)]!);
    leave(state, last === 1n ? bytes : mixColumns(bytes, INVERSE_MIX));
  },
  aesInverseMix(state, low, high) {
    leave(state, mixColumns(bytesOf(low!, high!), INVERSE_MIX));
  },
  aesSubstituteWord: (_state, word) =>
    [0, 8, 16, 24].reduce((all, shift) => {
      const byte = Number((word! >> BigInt(shift)) & 0xffn);
      return all | (SUBSTITUTES[byte]! << BigInt(shift));
    }, 0n),
  loadElement(state, address, bytes, wanted) {
    if (wanted === 0n) return 0n;
    checkElement(state, address!, Number(bytes), "read");
    return state.memory.read(address!, Number(bytes));
  },
  storeElements(state, address, a, b, c, d, bytes, mask) {
    const width = Number(bytes);
    const value = [a!, b!, c!, d!].reduceRight((all, quarter) => (all << 64n) | quarter, 0n);
    const chosen = placesOf(mask!).map((i) => BigInt(i * width));
    for (const at of chosen) checkElement(state, BigInt.asUintN(64, address! + at), width, "write");
    for (const at of chosen)
      state.memory.write(
        BigInt.asUintN(64, address! + at),
        width,
        BigInt.asUintN(8 * width, value >> (8n * at)),
      );
  },
};

/** As any access, but for EFLAGS.AC. */
function checkElement(state: State, address: bigint, bytes: number, use: "read" | "write"): void {
  try {
    state.checkAccess(address, bytes, use, false);
  } catch (error) {
    if (!(error instanceof GuestFault) || error.fault !== "#AC") throw error;
    const blocked = state.memory.firstBlocked(address, bytes, use);
    if (blocked === undefined) return;
    const user = state.field(cpu.CPL, 32) === 3n ? 4 : 0;
    const errorCode = (state.memory.isMapped(blocked) ? 1 : 0) | (use === "write" ? 2 : 0) | user;
    throw new GuestFault("#PF", { errorCode, address: blocked });
  }
}
