import type { Instruction } from "../../src/isa/instruction.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";
import { GENERAL_REGISTERS } from "../../src/isa/registers.ts";
import * as cpu from "../../src/layout/cpu-state.ts";
import { GuestFault } from "../evaluator/faults.ts";
import { runInstruction } from "../evaluator/run-instruction.ts";
import { isCanonical, State } from "../evaluator/state.ts";
import {
  CODE_FILL,
  caseEnd,
  caseStart,
  DATA_PAGES,
  exitJump,
  HASH_START,
  hashChange,
  IMAGE_YMM,
  PAGE_BYTES,
  PAGES,
  type Patch,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_TIMEOUT,
  type TestCase,
  type TestResult,
} from "./protocol.ts";
import { type ExecutionTarget, targetFromCases } from "./target.ts";

const MAX_INSTRUCTIONS = 1000;
const MAX_INSTRUCTION_BYTES = 15;

/** Instructions that need functions of src/core which the evaluator has no model of. */
const WITHOUT_MODEL = new Set([
  "fxsave",
  "fxrstor",
  "xsave",
  "xrstor",
  "xgetbv",
  "xsetbv",
  "rcpps",
  "rcpss",
  "rsqrtps",
  "rsqrtss",
  "vrcpps",
  "vrcpss",
  "vrsqrtps",
  "vrsqrtss",
  "xsaveopt",
  "xsavec",
  "rdseed",
  "fwait",
]);

/** What the evaluator can run of what runs in user mode. */
export const EVALUATED: readonly Instruction[] = INSTRUCTIONS.filter(
  ({ unit, simdExceptions, mnemonic }) =>
    !unit.startsWith("x87") && !simdExceptions && !WITHOUT_MODEL.has(mnemonic),
);

/** Opens the reference evaluator as a target. */
export async function openEvaluatorTarget(): Promise<ExecutionTarget> {
  return targetFromCases("evaluator", runCase);
}

function runCase(testCase: TestCase): TestResult {
  const state = new State();
  const pages = placePages(state, testCase);
  const before = pages.map((bytes) => bytes.slice());
  loadRegisters(state, testCase);
  const end = testCase.noExit ? undefined : BigInt(caseEnd(testCase));
  state.rip = BigInt(caseStart(testCase));
  let fault: GuestFault | undefined;
  let left = MAX_INSTRUCTIONS;
  while (state.rip !== end && fault === undefined && left-- > 0) fault = step(state);
  const status = fault !== undefined ? STATUS_FAULT : left < 0 ? STATUS_TIMEOUT : STATUS_EXIT;
  const { changes, changedWords, memoryHash } = changesOf(before, pages);
  return {
    status,
    vector: fault?.vector ?? 0,
    errorCode: fault?.errorCode ?? 0,
    rip: state.rip,
    rflags: state.rflags,
    cr2: fault?.address ?? 0n,
    fsBase: state.field(cpu.SEG_FS + cpu.SEGMENT_BASE, 64),
    gsBase: state.field(cpu.SEG_GS + cpu.SEGMENT_BASE, 64),
    registers: GENERAL_REGISTERS.map((register) => state.register(register)),
    image: imageOf(state, testCase.image),
    changedWords,
    memoryHash,
    changes,
  };
}

/** Fetches and executes one instruction. */
function step(state: State): GuestFault | undefined {
  if (!isCanonical(state.rip)) return new GuestFault("#GP");
  const blocked = state.memory.firstBlocked(state.rip, MAX_INSTRUCTION_BYTES, "execute");
  const count = blocked === undefined ? MAX_INSTRUCTION_BYTES : Number(blocked - state.rip);
  const word = state.memory.read(state.rip, count);
  const bytes = Uint8Array.from({ length: count }, (_, i) => Number((word >> BigInt(8 * i)) & 0xffn));
  return runInstruction(bytes, state);
}

/** Maps the pages of protocol.ts with the case's contents; returns them in that order. */
function placePages(state: State, testCase: TestCase): Uint8Array[] {
  const pages = PAGES.map((_, i) => {
    if (i >= DATA_PAGES.length) return new Uint8Array(PAGE_BYTES).fill(CODE_FILL);
    return testCase.memory.slice(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
  });
  PAGES.forEach(({ address, writable, executable }, i) => {
    state.memory.map(BigInt(address), pages[i]!, writable, executable);
  });
  for (const { address, value } of testCase.patches) state.memory.write(BigInt(address), 8, value);
  const exit = testCase.noExit ? new Uint8Array(0) : exitJump(caseEnd(testCase));
  [...testCase.code, ...exit].forEach((byte, i) => {
    const address = BigInt(caseStart(testCase) + i);
    if (state.memory.isMapped(address)) state.memory.write(address, 1, BigInt(byte));
  });
  return pages;
}

function loadRegisters(state: State, { registers, rflags, fsBase, gsBase, image }: TestCase): void {
  GENERAL_REGISTERS.forEach((register, i) => {
    state.setRegister(register, registers[i]!);
  });
  state.rflags = rflags;
  state.setField(cpu.SEG_FS + cpu.SEGMENT_BASE, 64, fsBase);
  state.setField(cpu.SEG_GS + cpu.SEGMENT_BASE, 64, gsBase);
  // Selectors of a 64-bit Linux process.
  for (const segment of [0, 1, 2, 3, 4, 5]) {
    const selector = segment === 1 ? 0x33n : segment === 2 ? 0x2bn : 0n;
    state.setField(cpu.SEGMENTS + cpu.SEGMENT_BYTES * segment + cpu.SEGMENT_SELECTOR, 16, selector);
  }
  const view = new DataView(image.buffer, image.byteOffset);
  const fsw = view.getUint16(2, true);
  const top = (fsw >> 11) & 7;
  state.setField(cpu.X87_FSW, 32, BigInt(fsw & ~0x3800));
  state.setField(cpu.X87_TOP, 32, BigInt(top));
  state.setField(cpu.X87_EMPTY, 32, BigInt(~view.getUint8(4) & 0xff));
  state.setField(cpu.MXCSR, 32, BigInt(view.getUint32(24, true)));
  for (let i = 0; i < 8; i++) {
    const at = cpu.X87 + cpu.X87_REGISTER_BYTES * ((top + i) & 7);
    state.setField(at, 64, view.getBigUint64(32 + 16 * i, true));
    state.setField(at + 8, 16, BigInt(view.getUint16(40 + 16 * i, true)));
  }
  for (let i = 0; i < 32; i++) {
    state.setField(cpu.XMM + 8 * i, 64, view.getBigUint64(160 + 8 * i, true));
    state.setField(cpu.YMM_HIGH + 8 * i, 64, view.getBigUint64(IMAGE_YMM + 8 * i, true));
  }
}

/** The FXSAVE image of the state; what the evaluator does not keep comes from the case's. */
function imageOf(state: State, initial: Uint8Array): Uint8Array {
  const image = initial.slice();
  const view = new DataView(image.buffer, image.byteOffset);
  const top = Number(state.field(cpu.X87_TOP, 32));
  view.setUint16(2, Number(state.field(cpu.X87_FSW, 32)) | (top << 11), true);
  view.setUint8(4, ~Number(state.field(cpu.X87_EMPTY, 32)) & 0xff);
  view.setUint32(24, Number(state.field(cpu.MXCSR, 32)), true);
  for (let i = 0; i < 8; i++) {
    const at = cpu.X87 + cpu.X87_REGISTER_BYTES * ((top + i) & 7);
    view.setBigUint64(32 + 16 * i, state.field(at, 64), true);
    view.setUint16(40 + 16 * i, Number(state.field(at + 8, 16)), true);
  }
  for (let i = 0; i < 32; i++) {
    view.setBigUint64(160 + 8 * i, state.field(cpu.XMM + 8 * i, 64), true);
    view.setBigUint64(IMAGE_YMM + 8 * i, state.field(cpu.YMM_HIGH + 8 * i, 64), true);
  }
  return image;
}

/** The 8-byte words of writable pages that differ. */
function changesOf(
  before: readonly Uint8Array[],
  after: readonly Uint8Array[],
): Pick<TestResult, "changes" | "changedWords" | "memoryHash"> {
  const changes: Patch[] = [];
  let hash = HASH_START;
  PAGES.forEach(({ address, writable }, page) => {
    if (!writable) return;
    const old = new DataView(before[page]!.buffer);
    const now = new DataView(after[page]!.buffer);
    for (let at = 0; at < PAGE_BYTES; at += 8) {
      const value = now.getBigUint64(at, true);
      if (value === old.getBigUint64(at, true)) continue;
      changes.push({ address: address + at, value });
      hash = hashChange(hash, address + at, now.getUint32(at, true), now.getUint32(at + 4, true));
    }
  });
  return { changes, changedWords: changes.length, memoryHash: changes.length === 0 ? 0 : hash };
}
