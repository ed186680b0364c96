import type { BootPlan, MemoryImage } from "./boot-plan.ts";
import { BOOT_GDT } from "./low-memory.ts";

// Linux names these selectors __BOOT_CS and __BOOT_DS.
const BOOT_CS = 0x10;
const BOOT_DS = 0x18;

const DATA_32 = 0x00cf93000000ffffn;

/** Bits 40..55 of a descriptor, as `ProcessorRegisters.setSegment` takes them, without its limit bits 16..19. */
function attributesOf(descriptor: bigint): number {
  return Number((descriptor >> 40n) & 0xf0ffn);
}

/** A GDT with flat code at 0x10 and flat data at 0x18, and segment registers loaded from it. */
export function flatSegments(codeBits: 32 | 64): {
  image: MemoryImage;
  segments: BootPlan["segments"];
  limit: number;
} {
  const code = codeBits === 64 ? 0x00af9b000000ffffn : 0x00cf9b000000ffffn;
  const bytes = new Uint8Array(4 * 8);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(BOOT_CS, code, true);
  view.setBigUint64(BOOT_DS, DATA_32, true);
  const flat = { base: 0n, limit: 0xffffffff };
  return {
    image: { address: BOOT_GDT, bytes },
    segments: [
      { names: ["cs"], value: { ...flat, selector: BOOT_CS, attributes: attributesOf(code) } },
      {
        names: ["ds", "es", "ss", "fs", "gs"],
        value: { ...flat, selector: BOOT_DS, attributes: attributesOf(DATA_32) },
      },
    ],
    limit: bytes.length - 1,
  };
}
