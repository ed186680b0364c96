import { GENERAL_REGISTERS, type GeneralRegister, type StatusFlag } from "../../src/isa/registers.ts";
import * as cpu from "../../src/layout/cpu-state.ts";
import { GuestFault } from "./faults.ts";
import { Memory } from "./memory.ts";

/** Places of the status flags in RFLAGS. */
export const FLAG_POSITIONS: Readonly<Record<StatusFlag, bigint>> = {
  cf: 0n,
  pf: 2n,
  af: 4n,
  zf: 6n,
  sf: 7n,
  of: 11n,
};

const STATE_BYTES = 0x600;
const VM = 1n << 17n;
/** AM of CR0, AC of RFLAGS. */
const ALIGNMENT = 1n << 18n;

/**
 * The state of the evaluator's processor. Fields lie as in layout/cpu-state.ts,
 * but for the status flags, which are kept plainly.
 */
export class State {
  readonly memory = new Memory();
  readonly flags: Record<StatusFlag, boolean> = {
    cf: false,
    pf: false,
    af: false,
    zf: false,
    sf: false,
    of: false,
  };
  /** What the last helper left: quotient and remainder. */
  readonly results: [bigint, bigint] = [0n, 0n];
  readonly #fields = new DataView(new ArrayBuffer(STATE_BYTES));

  /** A processor in user mode with flat segments. */
  constructor(codeBits: 16 | 32 | 64 = 64) {
    this.setField(cpu.CODE_BITS, 32, BigInt(codeBits));
    this.setField(cpu.STACK_BITS, 32, BigInt(codeBits));
    this.setField(cpu.CPL, 32, 3n);
    this.setField(cpu.CR0, 64, 0x8005_0033n);
    this.setField(cpu.CR4, 64, 0x1_0620n);
    this.setField(cpu.RFLAGS_SYSTEM, 64, 0x202n);
    this.setField(cpu.MXCSR, 32, 0x1f80n);
    this.setField(cpu.X87_FCW, 32, 0x37fn);
    this.setField(cpu.X87_EMPTY, 32, 0xffn);
    for (let segment = 0; segment < 6; segment++) {
      const at = cpu.SEGMENTS + cpu.SEGMENT_BYTES * segment;
      this.setField(at + cpu.SEGMENT_LIMIT, 32, 0xffff_ffffn);
      this.setField(at + cpu.SEGMENT_ATTRIBUTES, 32, segment === 1 ? 0xc0fbn : 0xc0f3n);
    }
  }

  /** A field of layout/cpu-state.ts. */
  field(offset: number, bits: 8 | 16 | 32 | 64 | 128): bigint {
    if (bits === 128) return this.field(offset, 64) | (this.field(offset + 8, 64) << 64n);
    let value = 0n;
    for (let i = bits / 8 - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#fields.getUint8(offset + i));
    return value;
  }

  setField(offset: number, bits: 8 | 16 | 32 | 64 | 128, value: bigint): void {
    for (let i = 0; i < bits / 8; i++)
      this.#fields.setUint8(offset + i, Number((value >> BigInt(8 * i)) & 0xffn));
  }

  register(register: GeneralRegister): bigint {
    return this.field(cpu.GPR + 8 * GENERAL_REGISTERS.indexOf(register), 64);
  }

  /** Writes all 64 bits. */
  setRegister(register: GeneralRegister, value: bigint): void {
    this.setField(cpu.GPR + 8 * GENERAL_REGISTERS.indexOf(register), 64, value);
  }

  get rip(): bigint {
    return this.field(cpu.RIP, 64);
  }
  set rip(value: bigint) {
    this.setField(cpu.RIP, 64, value);
  }

  get codeBits(): 16 | 32 | 64 {
    return Number(this.field(cpu.CODE_BITS, 32)) as 64;
  }

  get rflags(): bigint {
    let value = this.field(cpu.RFLAGS_SYSTEM, 64);
    for (const [flag, position] of Object.entries(FLAG_POSITIONS))
      if (this.flags[flag as StatusFlag]) value |= 1n << position;
    return value;
  }
  set rflags(value: bigint) {
    let system = value;
    for (const [flag, position] of Object.entries(FLAG_POSITIONS)) {
      this.flags[flag as StatusFlag] = ((value >> position) & 1n) === 1n;
      system &= ~(1n << position);
    }
    this.setField(cpu.RFLAGS_SYSTEM, 64, system | 2n);
  }

  /** Registers and flags in one piece, to compare. */
  get fingerprint(): string {
    const registers = GENERAL_REGISTERS.map((register) => this.register(register).toString(16));
    return [...registers, this.rflags.toString(16)].join(" ");
  }

  /** Checks a range of linear addresses as one access. `segment` decides between #SS and #GP. */
  checkAccess(address: bigint, bytes: number, use: "read" | "write", isStack: boolean): void {
    const last = BigInt.asUintN(64, address + BigInt(bytes - 1));
    if (this.codeBits === 64 && !(isCanonical(address) && isCanonical(last)))
      throw new GuestFault(isStack ? "#SS" : "#GP");
    if (this.#checksAlignment && address % BigInt(Math.min(bytes, 16)) !== 0n) throw new GuestFault("#AC");
    const blocked = this.memory.firstBlocked(address, bytes, use);
    if (blocked === undefined) return;
    const present = this.memory.isMapped(blocked) ? 1 : 0;
    const user = this.field(cpu.CPL, 32) === 3n ? 4 : 0;
    throw new GuestFault("#PF", { errorCode: present | (use === "write" ? 2 : 0) | user, address: blocked });
  }

  /** CR0.AM and EFLAGS.AC, in user mode. */
  get #checksAlignment(): boolean {
    const both = (this.field(cpu.CR0, 64) & this.rflags & ALIGNMENT) !== 0n;
    return both && this.field(cpu.CPL, 32) === 3n;
  }

  /** Linear address of an offset in a segment, by its number; outside of 64-bit code within its limit. */
  segmentAddress(segment: number, offset: bigint, bytes: number, use: "read" | "write"): bigint {
    const at = cpu.SEGMENTS + cpu.SEGMENT_BYTES * segment;
    const base = this.field(at + cpu.SEGMENT_BASE, 64);
    if (this.codeBits === 64) return segment < 4 ? offset : BigInt.asUintN(64, base + offset);
    const limit = this.field(at + cpu.SEGMENT_LIMIT, 32);
    const readOnly = use === "write" && (this.field(at + cpu.SEGMENT_ATTRIBUTES, 32) & 10n) !== 2n;
    if (readOnly || offset + BigInt(bytes - 1) > limit) throw new GuestFault(segment === 2 ? "#SS" : "#GP");
    return BigInt.asUintN(32, base + offset);
  }

  get isVirtual8086(): boolean {
    return (this.field(cpu.RFLAGS_SYSTEM, 64) & VM) !== 0n;
  }
}

export function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}
