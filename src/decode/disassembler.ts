import {
  BASE_RIP,
  type CodeBits,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  type DecodedInstruction,
  Decoder,
} from "./decoder.ts";
import { instructionName, prefixWords } from "./disassembly/names.ts";
import { generalRegister, hex, memoryText, operandText, stringOperands } from "./disassembly/operands.ts";

export interface Disassembly {
  /** Intel syntax as GNU tools write it, such as `mov eax,DWORD PTR fs:[rax-0x8]`. */
  readonly text: string;
  /** Bytes to go on by; 1 for what is no instruction. */
  readonly length: number;
}

/** Made when it is first needed, which it is in no usual run. */
let decoder: Decoder | undefined;

/**
 * The instruction at `bytes[at]`, which stands at `address`, as text.
 *
 * Prefixes that change nothing leave no trace. Bytes that are no instruction
 * give `(bad)`, one longer than 15 bytes `(too long)`, and one that the bytes
 * end within `(truncated)`.
 */
export function disassemble(bytes: Uint8Array, at: number, address: bigint, codeBits: CodeBits): Disassembly {
  decoder ??= new Decoder();
  const length = decoder.decode(bytes, at, bytes.length, codeBits);
  if (length > 0) return { text: instructionText(decoder.result, address, codeBits), length };
  if (length === DECODE_TRUNCATED) return { text: "(truncated)", length: bytes.length - at };
  return { text: length === DECODE_TOO_LONG ? "(too long)" : "(bad)", length: 1 };
}

/** Text of a decoded instruction that stands at `address`. */
export function instructionText(d: DecodedInstruction, address: bigint, codeBits: CodeBits): string {
  const nextAddress = address + BigInt(d.length);
  const string = stringOperands(d);
  const operands = string ?? operandsText(d, nextAddress, codeBits);
  const name = prefixWords(d, string !== undefined) + instructionName(d, codeBits);
  return name + (operands && ` ${operands}`) + ripComment(d, nextAddress);
}

function operandsText(d: DecodedInstruction, nextAddress: bigint, codeBits: CodeBits): string {
  if (d.form.instruction.mnemonic === "xlat") {
    const segment = d.segmentOverride >= 0 ? memoryText(d).split(":")[0] : "ds";
    return `BYTE PTR ${segment}:[${generalRegister(3, d.addressBits)}]`;
  }
  const texts = d.form.operands.map((_, i) => operandText(d, i, nextAddress, codeBits));
  return texts.filter((text) => text !== undefined).join(",");
}

/** Where a RIP-relative operand lies. */
function ripComment(d: DecodedInstruction, nextAddress: bigint): string {
  if (!d.isMemory || d.base !== BASE_RIP) return "";
  return `        # ${hex(nextAddress + BigInt(d.displacement), d.addressBits)}`;
}
