import { expect, test } from "vitest";
import { GUEST_RAM } from "../layout/memory-map.ts";
import { GuestMemory } from "../memory/guest-memory.ts";
import { applyBootPlan, type BootModule } from "./boot-plan.ts";
import { detectKernel } from "./detect.ts";
import { firmwareMemoryMap } from "./low-memory.ts";
import { planMultibootBoot } from "./multiboot.ts";
import { parseMultibootImage } from "./multiboot-image.ts";

const MiB = 0x100000;

function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value, true);
  return bytes;
}

const checksum = (flags: number) => -(0x1badb002 + flags) >>> 0;

/** Header at offset 4 of the file; the file lies at 1 MiB, with 32 bytes of bss, entry at 1 MiB + 36. */
function addressFieldsKernel(): Uint8Array {
  const flags = 0x10003;
  return words(0, 0x1badb002, flags, checksum(flags), MiB + 4, MiB, MiB + 40, MiB + 72, MiB + 36, 0xf4f4f4f4);
}

/** An ELF32 file with one segment: virtual 0xc0100000, physical 1 MiB, 16 bytes and 16 of bss. */
function elfKernel(elfClass = 1): Uint8Array {
  const image = new Uint8Array(0x70);
  const view = new DataView(image.buffer);
  image.set([0x7f, 0x45, 0x4c, 0x46, elfClass, 1, 1]);
  view.setUint16(18, 3, true); // EM_386
  view.setUint32(24, 0xc010000c, true); // e_entry
  view.setUint32(28, 52, true); // e_phoff
  view.setUint16(42, 32, true); // e_phentsize
  view.setUint16(44, 1, true); // e_phnum
  image.set(words(1, 0x60, 0xc0100000, MiB, 16, 32, 5, 4096), 52);
  image.set(words(0x1badb002, 0x3, checksum(0x3), 0xf4f4f4f4), 0x60);
  return image;
}

function applied(kernel: Uint8Array, modules: readonly BootModule[] = []) {
  const ramBytes = 8 * MiB;
  const memory = new GuestMemory(new ArrayBuffer(GUEST_RAM + ramBytes), ramBytes);
  memory.fill(0, ramBytes, 0xcc);
  const registers: Record<string, bigint> = {};
  const segments: Record<string, unknown> = {};
  const facts = { ramBytes, memoryMap: firmwareMemoryMap(ramBytes), acpiRsdpAddress: 0xe0000 };
  applyBootPlan(planMultibootBoot({ kernel, commandLine: "a=1 b", modules }, facts), memory, {
    get: (name) => registers[name] ?? 0n,
    set: (name, value) => {
      registers[name] = value;
    },
    setSegment: (name, segment) => {
      segments[name] = segment;
    },
  });
  const text = (address: number) => {
    const bytes = memory.read(address, 64);
    return new TextDecoder("latin1").decode(bytes.subarray(0, bytes.indexOf(0)));
  };
  return { memory, registers, segments, text };
}

test("a kernel with address fields is placed by them, its bss zeroed", () => {
  const { memory, registers, segments } = applied(addressFieldsKernel());
  expect(memory.readU32(MiB + 36)).toBe(0xf4f4f4f4);
  expect(memory.readU32(MiB + 40)).toBe(0);
  expect(memory.readU32(MiB + 68)).toBe(0);
  expect(memory.readU32(MiB + 72)).toBe(0xcccccccc);
  expect(registers["rip"]).toBe(BigInt(MiB + 36));
  expect(registers["rax"]).toBe(0x2badb002n);
  expect(registers["cr0"]).toBe(0x11n);
  expect(segments["cs"]).toEqual({ selector: 0x10, base: 0n, limit: 0xffffffff, attributes: 0xc09b });
});

test("an ELF kernel is placed by its program headers and entered at the physical twin of its entry point", () => {
  const { memory, registers } = applied(elfKernel());
  expect(memory.readU32(MiB)).toBe(0x1badb002);
  expect(memory.readU32(MiB + 16)).toBe(0);
  expect(memory.readU32(MiB + 32)).toBe(0xcccccccc);
  expect(registers["rip"]).toBe(BigInt(MiB + 12));
});

test("the information structure names the command line, memory, modules and the loader", () => {
  const modules = [
    { bytes: new Uint8Array([1, 2, 3]), commandLine: "first" },
    { bytes: new Uint8Array([4]), commandLine: "second" },
  ];
  const { memory, registers, text } = applied(elfKernel(), modules);
  const info = Number(registers["rbx"]);
  expect(memory.readU32(info)).toBe(0x24d);
  expect(memory.readU32(info + 4)).toBe(639);
  expect(memory.readU32(info + 8)).toBe(7 * 1024);
  expect(text(memory.readU32(info + 16))).toBe("a=1 b");
  expect(text(memory.readU32(info + 64))).toBe("Ringfence");
  expect(memory.readU32(info + 20)).toBe(2);
  const second = memory.readU32(info + 24) + 16;
  expect(memory.readU32(second)).toBe(MiB + 0x2000);
  expect(memory.readU32(second + 4)).toBe(MiB + 0x2001);
  expect(text(memory.readU32(second + 8))).toBe("second");
  expect(memory.readU8(MiB + 0x2000)).toBe(4);
  const map = memory.readU32(info + 48);
  expect(memory.readU32(info + 44)).toBe(96);
  expect(memory.readU32(map)).toBe(20);
  expect(memory.readU64(map + 72 + 4)).toBe(0x100000n);
});

test("detection: header in the first 8 KiB with a valid checksum", () => {
  expect(detectKernel(elfKernel())).toBe("multiboot");
  const late = new Uint8Array(16384);
  late.set(words(0x1badb002, 0, checksum(0)), 8192);
  expect(detectKernel(late)).toBe(undefined);
  expect(detectKernel(words(0x1badb002, 0, 1, 0))).toBe(undefined);
});

test.each([
  ["a 64-bit ELF file", elfKernel(2), "32-bit"],
  ["unknown requirements", words(0x1badb002, 0x10, checksum(0x10)), "flags 0x10"],
  ["no way to load it", words(0x1badb002, 0, checksum(0), ...new Array<number>(12).fill(0)), "neither ELF"],
  ["a file cut short", addressFieldsKernel().subarray(0, 36), "promise 40"],
])("%s is refused in one line", (_what, kernel, message) => {
  expect(() => parseMultibootImage(kernel)).toThrow(message);
});
