import { isDeepStrictEqual } from "node:util";
import { BASE_RIP, type DecodedInstruction, Decoder, NO_REGISTER } from "../../../src/decode/decoder.ts";
import type { EncodingShape } from "../encoding-shape.ts";
import {
  CODE_FILL,
  caseEnd,
  caseStart,
  DATA_PAGES,
  exitJump,
  MAX_CHANGED_WORDS,
  PAGE_BYTES,
  type Patch,
  type TestCase,
  type TestResult,
} from "../protocol.ts";

/** The instruction after which two targets first differ. */
export interface Step {
  readonly shape: EncodingShape;
  /** The instructions before it. */
  readonly earlier: readonly EncodingShape[];
  /** The case, with nothing behind the instruction. */
  readonly testCase: TestCase;
  /** Where the instruction begins. */
  readonly address: number;
  /** The judge's state before it. */
  readonly before: TestResult;
  readonly judged: TestResult;
  readonly theirs: TestResult;
}

/** The step's instruction, decoded. */
export function decodeStep(step: Step): DecodedInstruction {
  const decoder = new Decoder();
  const { code } = step.testCase;
  decoder.decode(code, step.address - caseStart(step.testCase), code.length, 64);
  return decoder.result;
}

const FS = 4;
const GS = 5;

/** The linear address of its memory operand. */
export function operandAddress(step: Step): bigint {
  const i = decodeStep(step);
  const value = (register: number) => (register === NO_REGISTER ? 0n : step.before.registers[register]!);
  const base = i.base === BASE_RIP ? BigInt(step.address + i.length) : value(i.base);
  return linearAddress(step, base + (value(i.index) << BigInt(i.scale)) + BigInt(i.displacement));
}

/** The linear address of an offset, as the instruction's prefixes have it. */
export function linearAddress(step: Step, offset: bigint): bigint {
  const { addressBits, segment } = decodeStep(step);
  const { before } = step;
  const segmentBase = segment === FS ? before.fsBase : segment === GS ? before.gsBase : 0n;
  return BigInt.asUintN(64, segmentBase + BigInt.asUintN(addressBits, offset));
}

/** The memory of a result, of which bytes can be replaced. Of many changed words only the first are known. */
export class ResultMemory {
  readonly #testCase: TestCase;
  readonly #result: TestResult;
  readonly #changes: Map<number, bigint>;

  constructor(testCase: TestCase, result: TestResult) {
    this.#testCase = testCase;
    this.#result = result;
    this.#changes = new Map(result.changes.map(({ address, value }) => [address, value]));
  }

  byte(address: number): number {
    return Number((this.#word(address & -8) >> BigInt(8 * (address & 7))) & 0xffn);
  }

  setByte(address: number, value: number): void {
    const shift = BigInt(8 * (address & 7));
    const word = (this.#word(address & -8) & ~(0xffn << shift)) | (BigInt(value) << shift);
    this.#changes.set(address & -8, word);
  }

  /** The result with this memory; where it has more changes than are known, those that `other` knows too decide. */
  resultBeside(other: TestResult): TestResult {
    const changes = [...this.#changes]
      .filter(([address, value]) => value !== this.#initialWord(address))
      .sort(([a], [b]) => a - b)
      .map(([address, value]) => ({ address, value }));
    const truncated = [this.#result, other].filter((result) => result.changedWords > MAX_CHANGED_WORDS);
    if (truncated.length === 0) return { ...this.#result, changes, changedWords: changes.length };
    const known = Math.min(...truncated.map((result) => result.changes.at(-1)!.address));
    const shared = (all: readonly Patch[]) => all.filter(({ address }) => address <= known);
    const { changedWords, memoryHash } = other;
    const same = isDeepStrictEqual(shared(changes), shared(other.changes));
    return same ? { ...this.#result, changes: other.changes, changedWords, memoryHash } : this.#result;
  }

  #word(address: number): bigint {
    return this.#changes.get(address) ?? this.#initialWord(address);
  }

  #initialWord(address: number): bigint {
    const patch = this.#testCase.patches.find((p) => p.address === address);
    if (patch !== undefined) return patch.value;
    let word = 0n;
    for (let i = 7; i >= 0; i--) word = (word << 8n) | BigInt(this.#initialByte(address + i));
    return word;
  }

  #initialByte(address: number): number {
    const { code, memory, noExit } = this.#testCase;
    const page = DATA_PAGES.findIndex((p) => address >= p.address && address < p.address + PAGE_BYTES);
    if (page >= 0) return memory[page * PAGE_BYTES + (address % PAGE_BYTES)]!;
    const end = caseEnd(this.#testCase);
    const jump = noExit ? undefined : exitJump(end)[address - end];
    return code[address - caseStart(this.#testCase)] ?? jump ?? CODE_FILL;
  }
}
