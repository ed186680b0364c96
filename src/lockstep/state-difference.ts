import { GENERAL_REGISTERS, SEGMENT_REGISTERS } from "../isa/registers.ts";
import * as cpu from "../layout/cpu-state.ts";
import { CPU_STATE, CPU_STATE_BYTES } from "../layout/memory-map.ts";
import type { Side } from "./side.ts";

/** State that is an engine's own, or means something only while an instruction is executed: offset and bytes. */
const PRIVATE: readonly (readonly [field: number, bytes: number])[] = [
  [cpu.EFFECTIVE_ADDRESS, 8],
  [cpu.RIP_BASE, 8],
  // Lazy flags have several forms; they are compared as RFLAGS.
  [cpu.FLAG_C, 4],
  [cpu.FLAG_R, 8],
  [cpu.FLAG_X, 8],
  [cpu.FLAG_Y, 8],
  // Its generation changes with what is in the jump cache.
  [cpu.MODE_KEY, 8],
  [cpu.EXIT_REASON, 4],
  [cpu.EXIT_RECORD, 4],
  // Of a fault that has been delivered.
  [cpu.FAULT_VECTOR, 4],
  [cpu.FAULT_ERROR_CODE, 4],
  [cpu.FAULT_ADDRESS, 8],
  [cpu.FAULT_NON_CANONICAL, 4],
  [cpu.SPLIT_WRITE_BYTES, 4],
  [cpu.SPLIT_WRITE_ADDRESS, 8],
  [cpu.CURRENT_RECORD, 4],
  [cpu.STALE_CALLERS, 4],
  [cpu.DELIVERS_FAULTS, 4],
  [cpu.SSE_RAISED, 4],
  [cpu.EXPECTED_RETURN, 8],
  [cpu.COUNT_TLB_MISS, 8],
  [cpu.COUNT_PAGE_WALK, 8],
  [cpu.COUNT_CODE_WRITE, 8],
];

const WORDS = CPU_STATE_BYTES / 4;
/** 1 for the words of the state that must agree. */
const COMPARED = new Uint8Array(WORDS).fill(1);
for (const [field, bytes] of PRIVATE) COMPARED.fill(0, field >> 2, (field + bytes) >> 2);

/** Offset, bytes and name of what a report names. */
const NAMED: readonly (readonly [field: number, bytes: number, name: string])[] = [
  ...GENERAL_REGISTERS.map((name, i) => [cpu.GPR + 8 * i, 8, name] as const),
  [cpu.RIP, 8, "rip"],
  [cpu.RFLAGS_SYSTEM, 8, "system flags"],
  [cpu.CPL, 4, "cpl"],
  [cpu.INTERRUPT_SHADOW, 4, "interrupt shadow"],
  [cpu.INTERRUPT_PENDING, 4, "interrupt pending"],
  [cpu.HALTED, 4, "halted"],
  ...[...SEGMENT_REGISTERS, "ldtr", "tr"].map(
    (name, i) => [cpu.SEGMENTS + cpu.SEGMENT_BYTES * i, cpu.SEGMENT_BYTES, name] as const,
  ),
  [cpu.GDTR_BASE, 16, "gdtr"],
  [cpu.IDTR_BASE, 16, "idtr"],
  [cpu.CR0, 8, "cr0"],
  [cpu.CR2, 8, "cr2"],
  [cpu.CR3, 8, "cr3"],
  [cpu.CR4, 8, "cr4"],
  [cpu.XCR0, 8, "xcr0"],
  [cpu.DR, 48, "debug registers"],
  [cpu.MSR_EFER, 8, "efer"],
  ...Array.from({ length: 8 }, (_, i) => [cpu.X87 + 16 * i, 16, `x87 register ${i}`] as const),
  [cpu.X87_FCW, 4, "x87 control word"],
  [cpu.X87_FSW, 4, "x87 status word"],
  [cpu.MXCSR, 4, "mxcsr"],
  [cpu.INSTRUCTIONS, 8, "instructions executed"],
  [cpu.COUNT_FAULT, 8, "faults delivered"],
  [cpu.COUNT_DEVICE_ACCESS, 8, "device accesses"],
  [cpu.COUNT_INTERRUPT, 8, "interrupts delivered"],
  ...Array.from({ length: 16 }, (_, i) => [cpu.XMM + 16 * i, 16, `xmm${i}`] as const),
  ...Array.from({ length: 16 }, (_, i) => [cpu.YMM_HIGH + 16 * i, 16, `upper half of ymm${i}`] as const),
];

/** A piece of the processor's state that two processors do not agree on. */
export interface FieldDifference {
  readonly name: string;
  readonly values: readonly [string, string];
}

/** Compares the architectural state of two processors that are not running. */
export class StateComparison {
  readonly #sides: readonly [Side, Side];
  readonly #words: readonly [Int32Array, Int32Array];

  constructor(sides: readonly [Side, Side]) {
    this.#sides = sides;
    const words = (side: Side) => new Int32Array(side.memory.buffer, CPU_STATE, WORDS);
    this.#words = [words(sides[0]), words(sides[1])];
  }

  isEqual(): boolean {
    const [a, b] = this.#words;
    for (let i = 0; i < WORDS; i++) if (a[i] !== b[i] && COMPARED[i] === 1) return false;
    return this.#flags(0) === this.#flags(1);
  }

  differences(): FieldDifference[] {
    const [a, b] = this.#words;
    const found = new Map<number, FieldDifference>();
    for (let i = 0; i < WORDS; i++) {
      if (a[i] === b[i] || COMPARED[i] === 0) continue;
      const [field, bytes, name] = named(4 * i);
      found.set(field, { name, values: [hex(a, field, bytes), hex(b, field, bytes)] });
    }
    const flags = [this.#flags(0), this.#flags(1)] as const;
    const texts = flags.map((value) => `0x${BigInt.asUintN(64, value).toString(16)}`) as [string, string];
    return flags[0] === flags[1]
      ? [...found.values()]
      : [...found.values(), { name: "rflags", values: texts }];
  }

  #flags(index: 0 | 1): bigint {
    return this.#sides[index].core.readFlags();
  }
}

function named(offset: number): readonly [field: number, bytes: number, name: string] {
  const known = NAMED.find(([field, bytes]) => offset >= field && offset < field + bytes);
  return known ?? [offset, 4, `state at 0x${offset.toString(16)}`];
}

function hex(words: Int32Array, field: number, bytes: number): string {
  let text = "";
  for (let i = (bytes >> 2) - 1; i >= 0; i--)
    text += (words[(field >> 2) + i]! >>> 0).toString(16).padStart(8, "0");
  return `0x${text}`;
}
