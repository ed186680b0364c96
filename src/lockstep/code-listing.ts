import type { CodeBits } from "../decode/decoder.ts";
import { disassemble } from "../decode/disassembler.ts";
import * as cpu from "../layout/cpu-state.ts";
import { GUEST_RAM, PAGE_BYTES } from "../layout/memory-map.ts";
import type { Side } from "./side.ts";

const LONGEST_INSTRUCTION = 15;

/** Up to `count` instructions from RIP on, as text. Walks the guest's page tables, which may set a fault. */
export function listCode(side: Side, count: number): string[] {
  const { state } = side;
  const base = state.get64(cpu.SEG_CS + cpu.SEGMENT_EFFECTIVE_BASE);
  let rip = state.get64(cpu.RIP);
  const lines: string[] = [];
  while (lines.length < count) {
    const bytes = fetch(side, BigInt.asUintN(64, base + rip));
    if (bytes.length === 0) {
      lines.push(`  ${rip.toString(16)}: not in RAM`);
      break;
    }
    const { text, length } = disassemble(bytes, 0, rip, state.get32(cpu.CODE_BITS) as CodeBits);
    const encoded = [...bytes.subarray(0, length)]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join(" ");
    lines.push(`  ${rip.toString(16)}: ${encoded.padEnd(3 * 8)} ${text}`);
    rip = BigInt.asUintN(64, rip + BigInt(length));
  }
  return lines;
}

/** Bytes at a linear address, from up to two pages; as many as are mapped to RAM. */
function fetch(side: Side, linear: bigint): Uint8Array {
  const first = page(side, linear);
  if (first.length === 0 || first.length >= LONGEST_INSTRUCTION) return first;
  const second = page(side, BigInt.asUintN(64, linear + BigInt(first.length)));
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

/** From a linear address to the end of its page. */
function page({ core, state, memory }: Side, linear: bigint): Uint8Array {
  const physical = core.translateExecute(BigInt.asIntN(64, linear));
  const ramBytes = state.get32(cpu.RAM_BYTES) >>> 0;
  if (physical < 0n || physical >= BigInt(ramBytes)) return new Uint8Array(0);
  const at = Number(physical);
  return new Uint8Array(memory.buffer, GUEST_RAM + at, PAGE_BYTES - (at % PAGE_BYTES));
}
