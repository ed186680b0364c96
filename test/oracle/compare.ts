import { GENERAL_REGISTERS } from "../../src/isa/registers.ts";
import {
  COMPARED_FLAGS,
  IMAGE_YMM,
  KERNEL_ADDRESSES,
  MAX_CHANGED_WORDS,
  STATUS_EXIT,
  STATUS_FAULT,
  type TestCase,
  type TestResult,
} from "./protocol.ts";
import type { ResultIndex } from "./results.ts";
import { NO_TOLERANCE, type Tolerance } from "./tolerance.ts";

const STATUS_NAMES = ["ends normally", "faults", "times out", "makes a system call", "ends the process"];
const PAGE_FAULT = 14;
const ALIGNMENT_FAULT = 17;
const GENERAL_PROTECTION = 13;
const MEMORY_FAULTS = [12, 13, 14, 17];
/** The area of FXSAVE. */
const LONGEST_OPERAND = 512n;
/** MXCSR.MM of AMD. */
const DEBUG = 1;
const TRAP_FLAG = 0x100n;
const MISALIGNED_MASK = 0x2_0000;
const MXCSR_MASK_AMD = 0x2_ffffn;

// Words of a result's header.
const STATUS_WORD = 0;
const ERROR_WORD = 1;
const FLAGS_WORD = 4;
const CR2_HIGH_WORD = 7;

/**
 * Whether two results of one case agree, by their bytes alone. Results that
 * differ in what is tolerated have equal bytes but for RFLAGS and, at kernel
 * addresses, the error code.
 */
export function resultsAgree(a: ResultIndex, b: ResultIndex, index: number, tolerance: Tolerance): boolean {
  const wordsA = wordsOf(a);
  const wordsB = wordsOf(b);
  const fromA = a.offsets[index]! >> 2;
  const fromB = b.offsets[index]! >> 2;
  const status = wordsA[fromA + STATUS_WORD]!;
  if (status !== wordsB[fromB + STATUS_WORD]) return false;
  const ends = ((status >>> 16) & 0xff) === STATUS_EXIT;
  const ignored = ends ? tolerance.undefinedAtEnd : tolerance.undefinedAnywhere;
  const size = (status & 0xffff) >> 2;
  for (let i = 1; i < size; i++) {
    const difference = wordsA[fromA + i]! ^ wordsB[fromB + i]!;
    if (difference === 0) continue;
    if (i === FLAGS_WORD && (difference & COMPARED_FLAGS & ~ignored) === 0) continue;
    if (i === ERROR_WORD && difference === 1 && kernelAddress(wordsA, fromA)) continue;
    return false;
  }
  return true;
}

/** A page fault at an address that Linux keeps: it hides whether something is mapped there. */
function kernelAddress(words: Uint32Array, from: number): boolean {
  if (words[from + STATUS_WORD]! >>> 24 !== PAGE_FAULT) return false;
  const high = words[from + CR2_HIGH_WORD]!;
  return high > 0x7fff || (high === 0x7fff && words[from + CR2_HIGH_WORD - 1]! >= 0xffff_f000);
}

const wordViews = new WeakMap<Uint8Array, Uint32Array>();
function wordsOf(results: ResultIndex): Uint32Array {
  const { bytes } = results;
  let words = wordViews.get(bytes);
  if (words === undefined) {
    const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
    words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
    wordViews.set(bytes, words);
  }
  return words;
}

/** What is different, one item a line: what it is, the judge's value, the other's. */
export function describeDifferences(judge: TestResult, other: TestResult, tolerance: Tolerance): string[] {
  const lines: string[] = [];
  const differ = (what: string, a: unknown, b: unknown) => {
    if (a !== b) lines.push(`${what}: ${a} natively, ${b} here`);
  };
  const hex = (v: bigint) => `0x${v.toString(16)}`;
  if (
    tolerance.anyMxcsrMask &&
    (new DataView(judge.image.buffer).getUint32(24, true) & MISALIGNED_MASK) !== 0
  )
    return [];
  if (tolerance.anyAlignment && (other.vector === ALIGNMENT_FAULT || other.vector === GENERAL_PROTECTION))
    return [];
  differ("outcome", outcome(judge, tolerance), outcome(other, tolerance));
  if (judge.status > STATUS_FAULT || other.status > STATUS_FAULT) return lines;
  if (!standsAtInt1(judge, other)) differ("rip", hex(judge.rip), hex(other.rip));
  const ignored = judge.status === STATUS_EXIT ? tolerance.undefinedAtEnd : tolerance.undefinedAnywhere;
  const shown = BigInt(COMPARED_FLAGS & ~ignored);
  differ("rflags", flagNames(judge.rflags & shown), flagNames(other.rflags & shown));
  if (
    judge.vector === PAGE_FAULT &&
    other.vector === PAGE_FAULT &&
    !sameFaultAddress(judge.cr2, other.cr2, tolerance)
  )
    differ("cr2", hex(judge.cr2), hex(other.cr2));
  judge.registers.forEach((value, i) => {
    differ(GENERAL_REGISTERS[i]!, hex(value), hex(other.registers[i]!));
  });
  differ("FS base", hex(judge.fsBase), hex(other.fsBase));
  differ("GS base", hex(judge.gsBase), hex(other.gsBase));
  const shownImage = (image: Uint8Array) => tolerable(image, judge.status === STATUS_FAULT, tolerance);
  const judged = shownImage(judge.image);
  const theirs = shownImage(other.image);
  if (!(tolerance.anyGather && judge.status === STATUS_FAULT))
    describeImages(judged, tolerance.approximate ? rounded(judged, theirs) : theirs, differ);
  describeMemory(judge, other, differ, tolerance);
  return lines;
}

function sameFaultAddress(a: bigint, b: bigint, tolerance: Tolerance): boolean {
  if (tolerance.anyFaultAddress) return true;
  // An operand may lie around the end of the address space.
  const distances = [a - b, b - a].map((distance) => BigInt.asUintN(64, distance));
  const limit = tolerance.anyFaultOffset ? LONGEST_OPERAND : 1n;
  return distances.some((distance) => distance < limit);
}

type Differ = (what: string, a: unknown, b: unknown) => void;

function outcome(r: TestResult, tolerance: Tolerance): string {
  if (r.status !== STATUS_FAULT) return STATUS_NAMES[r.status]!;
  if (tolerance.anyFaultAddress && MEMORY_FAULTS.includes(r.vector)) return "a memory operand faults";
  const anyPresence = r.cr2 >= KERNEL_ADDRESSES || tolerance.anyFaultOffset;
  const error = r.vector === PAGE_FAULT && anyPresence ? r.errorCode | 1 : r.errorCode;
  return `vector ${r.vector}, error code 0x${error.toString(16)}`;
}

function flagNames(flags: bigint): string {
  const names: readonly [bigint, string][] = [
    [0x1n, "cf"],
    [0x4n, "pf"],
    [0x10n, "af"],
    [0x40n, "zf"],
    [0x80n, "sf"],
    [0x100n, "tf"],
    [0x200n, "if"],
    [0x400n, "df"],
    [0x800n, "of"],
    [0x4000n, "nt"],
    [0x40000n, "ac"],
    [0x200000n, "id"],
  ];
  return (
    names
      .filter(([bit]) => flags & bit)
      .map(([, name]) => name)
      .join(" ") || "none"
  );
}

function describeImages(a: Uint8Array, b: Uint8Array, differ: Differ): void {
  const field = (image: Uint8Array, at: number, bytes: number) => {
    let text = "";
    for (let i = at + bytes - 1; i >= at; i--) text += image[i]!.toString(16).padStart(2, "0");
    return text;
  };
  const fields: readonly [string, number, number][] = [
    ["FCW", 0, 2],
    ["FSW", 2, 2],
    ["FTW (abridged)", 4, 1],
    ["FOP", 6, 2],
    ["FIP", 8, 8],
    ["FDP", 16, 8],
    ["MXCSR", 24, 4],
    ...Array.from({ length: 8 }, (_, i): [string, number, number] => [`st${i}`, 32 + 16 * i, 10]),
    ...Array.from({ length: 16 }, (_, i): [string, number, number] => [`xmm${i}`, 160 + 16 * i, 16]),
    ...Array.from({ length: 16 }, (_, i): [string, number, number] => [
      `upper half of ymm${i}`,
      IMAGE_YMM + 16 * i,
      16,
    ]),
  ];
  for (const [name, at, bytes] of fields) differ(name, field(a, at, bytes), field(b, at, bytes));
}

const FSW_TOP = 0x3800;
const POINTER_BITS = 48;

/** An image with what is tolerated made the same whatever it was. */
function tolerable(image: Uint8Array, faulted: boolean, tolerance: Tolerance): Uint8Array {
  if (!tolerance.shortPointers && !(tolerance.anyMmxTags && faulted)) return image;
  const result = image.slice();
  const view = new DataView(result.buffer, result.byteOffset);
  if (tolerance.shortPointers)
    for (const at of [8, 16])
      view.setBigInt64(at, BigInt.asIntN(POINTER_BITS, view.getBigInt64(at, true)), true);
  if (tolerance.anyMmxTags && faulted) {
    const status = view.getUint16(2, true);
    const top = (status & FSW_TOP) >> 11;
    view.setUint16(2, status & ~FSW_TOP, true);
    result[4] = 0xff;
    // Registers stand in stack order.
    for (let i = 0; i < 8; i++) {
      const from = 32 + 16 * ((i - top) & 7);
      result.set(image.subarray(from, from + 16), 32 + 16 * i);
    }
  }
  return result;
}

/**
 * INT1, which a jump into the middle of an instruction may lead to: under a hypervisor that intercepts it, the host's processor
 * reports it with RIP at the instruction; the trap's is behind it (SDM Vol. 3A, "Interrupt 1").
 */
function standsAtInt1(judge: TestResult, other: TestResult): boolean {
  const traps = judge.vector === DEBUG && other.vector === DEBUG && (judge.rflags & TRAP_FLAG) === 0n;
  return traps && other.rip === judge.rip + 1n;
}

/** Why a difference that is tolerated is, by the names of `Tolerance`; none when it is the host kernel's. */
export function toleratedBy(judge: TestResult, other: TestResult, tolerance: Tolerance): (keyof Tolerance)[] {
  const names = Object.keys(tolerance) as (keyof Tolerance)[];
  return names.filter(
    (name) => describeDifferences(judge, other, { ...tolerance, [name]: NO_TOLERANCE[name] }).length > 0,
  );
}

/** `image` with C1, ST0 and ST1 of the judge where they are near enough. */
function rounded(judge: Uint8Array, image: Uint8Array): Uint8Array {
  const result = image.slice();
  const views = [judge, result].map((bytes) => new DataView(bytes.buffer, bytes.byteOffset));
  const [ours, theirs] = views as [DataView, DataView];
  theirs.setUint16(2, (theirs.getUint16(2, true) & ~0x200) | (ours.getUint16(2, true) & 0x200), true);
  for (const at of [32, 48]) {
    // Without the integer bit neighbouring values are neighbouring numbers.
    const value = (v: DataView) =>
      (BigInt(v.getUint16(at + 8, true)) << 63n) | (v.getBigUint64(at, true) & ((1n << 63n) - 1n));
    const distance = value(ours) - value(theirs);
    if (distance >= -1n && distance <= 1n) result.set(judge.subarray(at, at + 10), at);
  }
  return result;
}

function describeMemory(a: TestResult, b: TestResult, differ: Differ, tolerance: Tolerance): void {
  const show = (r: TestResult, address: number) => {
    const change = r.changes.find((c) => c.address === address);
    if (change === undefined) return "unchanged";
    const maskStored = tolerance.anyMxcsrMask && change.value >> 32n === MXCSR_MASK_AMD;
    const value = maskStored ? change.value ^ (BigInt(MISALIGNED_MASK) << 32n) : change.value;
    return `0x${value.toString(16).padStart(16, "0")}`;
  };
  const addresses = new Set([...a.changes, ...b.changes].map((c) => c.address));
  for (const address of [...addresses].sort((x, y) => x - y))
    differ(`memory at 0x${address.toString(16)}`, show(a, address), show(b, address));
  differ("number of changed memory words", a.changedWords, b.changedWords);
  if (a.changedWords > MAX_CHANGED_WORDS && !tolerance.anyMxcsrMask)
    differ("hash of changed memory", a.memoryHash, b.memoryHash);
}

/** The initial state of a case, without what is 0. */
export function describeCase(c: TestCase): string[] {
  const registers = c.registers
    .map((value, i) => (value === 0n ? "" : `${GENERAL_REGISTERS[i]}=0x${value.toString(16)}`))
    .filter(Boolean);
  const bases = [
    c.fsBase && `FS base 0x${c.fsBase.toString(16)}`,
    c.gsBase && `GS base 0x${c.gsBase.toString(16)}`,
  ].filter(Boolean);
  return [
    `rflags: ${flagNames(c.rflags)}${c.noExit ? "; nothing behind the code" : ""}`,
    ...[registers.join(" "), bases.join(" ")].filter(Boolean),
    ...c.patches.map((p) => `[0x${p.address.toString(16)}] = 0x${p.value.toString(16)}`),
  ];
}
