import type { FaultName } from "../../src/isa/faults.ts";
import { FAULTS } from "../../src/isa/faults.ts";
import { GENERAL_REGISTERS, type GeneralRegister } from "../../src/isa/registers.ts";
import { invariant } from "../../src/layout/invariant.ts";

// A row: one instruction, what it finds and what it leaves, written by hand
// from the manuals. All numbers are hexadecimal.
//
//   rax=5              a register, all 64 bits; 0 where a row says nothing, but RSP
//   CF ZF IF           flags that are set
//   [10001000]=77      an aligned 8-byte word of memory
// and only of what it leaves:
//   rip=20000010       where it goes on, if not with the next instruction
//   AF?                a flag that the manual leaves undefined
//   IF=0               a flag beyond the status flags and DF that is clear
//   #DE                it faults, and has changed nothing
//
// Registers, memory and status flags that the right side does not name are
// unchanged, or clear in the case of flags.
//
// 64-bit code runs in user mode, with code from 20000000, data from 10001000
// to 10002fff and RSP 10002800; 16 and 32-bit code runs at privilege level 0
// with flat segments, code from 1000, data from 2000 to 3fff and ESP 3800.

export type Row = readonly [assembly: string, bytes: string, before: string, after: string];

export type CodeBits = 16 | 32 | 64;

export const PLACES = {
  64: { code: 0x2000_0000, data: 0x1000_1000, stack: 0x1000_2800, rflags: 0x202n },
  32: { code: 0x1000, data: 0x2000, stack: 0x3800, rflags: 2n },
  16: { code: 0x1000, data: 0x2000, stack: 0x3800, rflags: 2n },
} as const;
export const DATA_BYTES = 0x2000;

const FLAGS: Readonly<Record<string, bigint>> = {
  CF: 1n,
  PF: 4n,
  AF: 0x10n,
  ZF: 0x40n,
  SF: 0x80n,
  IF: 0x200n,
  DF: 0x400n,
  OF: 0x800n,
  AC: 0x4_0000n,
};
/** Compared even where a row names none of them: the status flags and DF. */
const COMPARED_FLAGS = 0xcd5n;

export type Registers = Record<GeneralRegister, bigint>;

/** What an instruction finds. */
export interface Setup {
  readonly codeBits: CodeBits;
  readonly code: Uint8Array;
  readonly registers: Registers;
  readonly rflags: bigint;
  /** 8-byte words by address; the rest of the data is 0. */
  readonly memory: ReadonlyMap<number, bigint>;
}

/** What it left. */
export interface Outcome {
  readonly fault: FaultName | undefined;
  readonly registers: Registers;
  readonly rflags: bigint;
  readonly rip: bigint;
  /** 8-byte words that have another value than before. */
  readonly changed: ReadonlyMap<number, bigint>;
}

/** Something that executes one instruction. */
export interface RowRunner {
  readonly name: string;
  run(setup: Setup): Promise<Outcome>;
}

interface Side {
  readonly registers: Partial<Registers>;
  readonly memory: Map<number, bigint>;
  setFlags: bigint;
  namedFlags: bigint;
  undefinedFlags: bigint;
  rip: bigint | undefined;
  fault: FaultName | undefined;
}

const hex = (digits: string): bigint => BigInt(`0x${digits}`);

function parseSide(text: string): Side {
  const side: Side = {
    registers: {},
    memory: new Map(),
    setFlags: 0n,
    namedFlags: 0n,
    undefinedFlags: 0n,
    rip: undefined,
    fault: undefined,
  };
  for (const token of text.split(" ").filter(Boolean)) parseToken(token, side);
  return side;
}

function parseToken(token: string, side: Side): void {
  const [name = "", digits] = token.split("=");
  const memory = /^\[([0-9a-f]+)\]$/.exec(name);
  const flag = FLAGS[name.replace("?", "")];
  if (memory && digits) side.memory.set(Number(hex(memory[1]!)), hex(digits));
  else if (name === "rip" && digits) side.rip = hex(digits);
  else if (Object.hasOwn(FAULTS, name)) side.fault = name as FaultName;
  else if (flag !== undefined && name.endsWith("?")) side.undefinedFlags |= flag;
  else if (flag !== undefined) {
    side.namedFlags |= flag;
    if (digits !== "0") side.setFlags |= flag;
  } else {
    invariant(
      (GENERAL_REGISTERS as readonly string[]).includes(name) && digits !== undefined,
      `"${token}" in a row`,
    );
    side.registers[name as GeneralRegister] = hex(digits);
  }
}

export const bytesOf = (text: string): Uint8Array =>
  Uint8Array.from(text.split(" "), (digits) => Number.parseInt(digits, 16));

/** What the left side of a row asks for. */
export function setupOf([, bytes, before]: Row, codeBits: CodeBits): Setup {
  const side = parseSide(before);
  const { stack, rflags } = PLACES[codeBits];
  const zeros = Object.fromEntries(GENERAL_REGISTERS.map((register) => [register, 0n])) as Registers;
  return {
    codeBits,
    code: bytesOf(bytes),
    registers: { ...zeros, rsp: BigInt(stack), ...side.registers },
    rflags: rflags | side.setFlags,
    memory: side.memory,
  };
}

/** An outcome as a row would have it, to compare. */
export interface Readable {
  readonly fault: FaultName | undefined;
  readonly registers: Record<string, string>;
  readonly flags: string;
  readonly rip: string;
  readonly memory: Record<string, string>;
}

/** What the right side of a row asks for. */
export function expectationOf(row: Row, setup: Setup): Readable {
  const side = parseSide(row[3]);
  const end = BigInt(PLACES[setup.codeBits].code + setup.code.length);
  if (side.fault !== undefined)
    return readable({ ...setup, fault: side.fault, rip: 0n, changed: new Map() }, side);
  const changed = new Map(
    [...side.memory].filter(([address, value]) => value !== (setup.memory.get(address) ?? 0n)),
  );
  const registers = { ...setup.registers, ...side.registers };
  // Without a flag to name, one beyond the status flags and DF is as it was.
  const rflags = side.setFlags;
  return readable({ fault: undefined, registers, rflags, rip: side.rip ?? end, changed }, side);
}

/** What a runner found, as far as the row speaks of it. */
export function observationOf(row: Row, outcome: Outcome): Readable {
  return readable(outcome, parseSide(row[3]));
}

function readable({ fault, registers, rflags, rip, changed }: Outcome, side: Side): Readable {
  const compared = (COMPARED_FLAGS | side.namedFlags) & ~side.undefinedFlags;
  const names = Object.keys(FLAGS).filter((name) => (FLAGS[name]! & compared & rflags) !== 0n);
  const text = (value: bigint) => value.toString(16);
  return {
    fault,
    registers: Object.fromEntries(Object.entries(registers).map(([name, value]) => [name, text(value)])),
    flags: names.join(" "),
    rip: fault === undefined ? text(rip) : "",
    memory: Object.fromEntries(
      [...changed].sort(([a], [b]) => a - b).map(([address, value]) => [address.toString(16), text(value)]),
    ),
  };
}
