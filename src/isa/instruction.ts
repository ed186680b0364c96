import type { IsaFeature } from "./features.ts";
import type { Ops } from "./ops.ts";

/** How an instruction uses an operand: reads it, writes it, or both. */
export type Access = "r" | "w" | "rw";

/** Properties of one form beyond its opcode and operands. */
export interface FormAttributes {
  /** LOCK is legal when the destination is memory. */
  readonly lockable?: true;
  /** Operand size is 64 bits in 64-bit code without REX.W; 66 gives 16. */
  readonly default64?: true;
  /** Operand size is 64 bits in 64-bit code whatever the prefixes say (near branches on Intel; 66 is ignored). */
  readonly force64?: true;
  /** Not encodable in 64-bit code: #UD. */
  readonly not64?: true;
  /** Only in 64-bit code. */
  readonly only64?: true;
  /** Only with REX.W (true) or only without it (false). */
  readonly rexW?: boolean;
  /** Only with REX.B (true) or only without it (false): XCHG r8, rAX and NOP. */
  readonly rexB?: boolean;
  /** The operand size is always this, whatever the prefixes say. */
  readonly size?: 8 | 16 | 32 | 64;
  /** #GP(0) unless CPL is 0. */
  readonly privileged?: true;
  /** The REP prefixes have a meaning, and `stringPrefixes` tells of them. */
  readonly repeatable?: true;
  /** `stringPrefixes` tells of the address size and the segment, though nothing is repeated: XLAT, BT on memory. */
  readonly addressPrefixes?: true;
  /** A memory operand gives its offset, without the segment's base (LEA). */
  readonly offsetOnly?: true;
  /** A memory operand with base RSP is addressed as if the operand had been popped (POP m). */
  readonly popsFirst?: true;
  /** Extensions that this form needs beside those of its instruction. */
  readonly features?: readonly IsaFeature[];
}

/** One row of the manual's opcode table. */
export interface Form extends FormAttributes {
  /** The row's opcode column, such as `"81 /0"`, `"66 0F FE /r"`, `"0F 01 D0"`, `"D8 C0+i"`. */
  readonly opcode: string;
  /** The operands, such as `["rm:v", "imm:z"]`. */
  readonly operands: readonly string[];
}

/** Which status flags an instruction reads, writes and leaves undefined. */
export interface FlagUse {
  readonly reads?: string;
  readonly writes?: string;
  /** Undefined by the manual: checks against other processors mask these. */
  readonly undefined?: string;
}

export type Execute = <V>(ops: Ops<V>, ...operands: V[]) => V | readonly V[] | void;

export interface Instruction {
  readonly mnemonic: string;
  readonly source: string;
  /** How each operand is used; the values `execute` returns go to the written ones, in order. */
  readonly access: readonly Access[];
  readonly flags: FlagUse;
  readonly forms: readonly Form[];
  readonly execute: Execute;
  /**
   * Which unit must be enabled: #UD or #NM otherwise (CR0.EM, CR0.TS, CR4.OSFXSR).
   * `x87` also waits for a pending x87 exception (#MF); `x87-control`, the FN... instructions, does not.
   * `avx` asks for CR4.OSXSAVE and XCR0 instead.
   */
  readonly unit: "general" | "x87" | "x87-control" | "mmx" | "sse" | "avx";
  /** Extensions that the instruction belongs to: all must be announced. */
  readonly features: readonly IsaFeature[];
  /** SSE floating point: exceptions are committed before the result is written. */
  readonly simdExceptions: boolean;
  /** Vectors in memory need not be aligned. */
  readonly unaligned: boolean;
  /** Execution never goes on with the next instruction in line. */
  readonly endsBlock: boolean;
  /** An x87 control instruction: leaves FOP, FIP and FDP alone. */
  readonly keepsPointers: boolean;
}

interface InstructionDefinition {
  readonly mnemonic: string;
  readonly source: string;
  /** For example `"rw r"`. */
  readonly access: string;
  readonly flags?: FlagUse;
  readonly forms: readonly Form[];
  readonly execute: Execute;
  readonly unit?: Instruction["unit"];
  readonly features?: readonly IsaFeature[];
  readonly simdExceptions?: boolean;
  readonly endsBlock?: true;
  readonly unaligned?: boolean;
  readonly keepsPointers?: boolean;
}

/** Defines one instruction: what it is called, how it is encoded, what it does. */
export function instruction(definition: InstructionDefinition): Instruction {
  // All of one hidden class, since whoever decodes or translates reads them all the time.
  return {
    mnemonic: definition.mnemonic,
    source: definition.source,
    access: definition.access.split(" ").filter(Boolean) as Access[],
    flags: definition.flags ?? {},
    forms: definition.forms,
    execute: definition.execute,
    unit: definition.unit ?? "general",
    features: definition.features ?? [],
    simdExceptions: definition.simdExceptions ?? false,
    endsBlock: definition.endsBlock ?? false,
    unaligned: definition.unaligned ?? false,
    keepsPointers: definition.keepsPointers ?? false,
  };
}

/**
 * One form a line: the manual's opcode column and operands.
 *
 * Opcode: an optional mandatory prefix (`66`, `F2`, `F3`, `NP` for none of
 * them, or `NFx` for neither F2 nor F3), the opcode bytes, then `/r` or
 * `/0`..`/7` for a ModRM byte, or a fixed ModRM byte, or one with `+i` for a
 * register in its low three bits. In place of prefix and escape bytes there may
 * be a VEX prefix, as in `VEX.128.66.0F38.W0 F7 /r`: length (`128`, `256`, `LZ`,
 * `LIG`), prefix (may be absent), map, W (`W0`, `W1`; `WIG` does not count; `W` is the operand size).
 *
 * Operands, comma-separated. A trailing `:v` stands for the 16, 32 and
 * 64-bit variants, `:y` for 32 and 64, `:z` for an immediate of 16 or 32 bits.
 *   `al` `ax` `eax` `rax:v` `cl` `dx` ...   a fixed register
 *   `r8` `r16` `r32` `r64` `r:v` `r:y`      ModRM.reg
 *   `rm8` ... `rm:v` `rm:y`                 ModRM.rm, register or memory
 *   `r:v/m16`                               ModRM.rm: a register of operand size, or 16 bits of memory
 *   `r32:rm` `r:v:rm` `r:y:rm`              ModRM.rm, register only
 *   `m` `m8` ... `m256` `m:v`               ModRM.rm, memory only; plain `m` is its linear address
 *   `+r8` `+r:v` `+r:y`                     the opcode's low three bits
 *   `imm8` `imm16` `imm8:sx` `imm:z` `imm:v` immediates; `:sx` is extended to operand size; `1` is the constant
 *   `rel8` `rel:z`                          branch targets
 *   `moffs8` `moffs:v`                      memory at an absolute offset
 *   `m64:rdi` `m128:rdi`                    memory at DS:rDI
 *   `far:z`                                 immediate selector:offset; two operands, offset then selector
 *   `sreg` `cr` `dr`                        ModRM.reg: the register's number, 32 bits
 *   `es` `cs` `ss` `ds` `fs` `gs`           a fixed segment register: its number, 32 bits
 *   `xmm` `xmm/m128` `xmm/m64` `xmm/m32` `xmm:rm`, `mm` `mm/m64` `mm/m32` `mm:rm`
 *                                           vector registers: 128 bits (a memory operand has its own width), MMX 64 bits
 *   `xmm0`                                  XMM0, implied
 *   `ymm` `ymm/m256` `ymm:rm`               the same, 256 bits
 *   `xmm:v` `ymm:v` `r:y:v`                 VEX.vvvv
 *   `xmm:is4` `ymm:is4`                     the upper half of an immediate byte
 *   `vsib:x` `vsib:y`                       two operands of a gather: the address without the index, and a vector of indices
 *   `st:i`                                  x87 register number, 32 bits
 */
export function form(opcode: string, operands = "", attributes: FormAttributes = {}): Form {
  return {
    opcode,
    operands: operands
      .split(",")
      .map((o) => o.trim())
      .filter(Boolean),
    ...attributes,
  };
}

export const lockable = { lockable: true } as const;
export const default64 = { default64: true } as const;
export const force64 = { force64: true } as const;
export const not64 = { not64: true } as const;
export const only64 = { only64: true } as const;
export const privileged = { privileged: true } as const;
export const repeatable = { repeatable: true } as const;
