import { expect, test } from "vitest";
import { GUEST_RAM } from "../layout/memory-map.ts";
import { VmError } from "../layout/vm-error.ts";
import { GuestMemory } from "../memory/guest-memory.ts";
import { applyBootPlan, type BootRequest } from "./boot-plan.ts";
import { planBoot } from "./detect.ts";
import { planLinuxBoot } from "./linux.ts";
import { parseLinuxImage } from "./linux-image.ts";
import { firmwareMemoryMap } from "./low-memory.ts";

const MiB = 0x100000;

/** A bzImage of one setup sector and 4 KiB of payload that starts with 0xe9. */
function handMadeImage(change: (view: DataView) => void = () => {}): Uint8Array {
  const image = new Uint8Array(1024 + 4096);
  const view = new DataView(image.buffer);
  view.setUint8(0x1f1, 1); // setup_sects
  view.setUint32(0x1f4, 256, true); // syssize, in 16 bytes
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint8(0x201, 0x6a); // header ends at 0x26c
  view.setUint32(0x202, 0x53726448, true); // "HdrS"
  view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x211, 1); // LOADED_HIGH
  view.setUint32(0x22c, 0x7fffffff, true); // initrd_addr_max
  view.setUint32(0x230, 0x200000, true); // kernel_alignment
  view.setUint8(0x234, 1); // relocatable
  view.setUint16(0x236, 0x3f, true); // xloadflags
  view.setUint32(0x238, 2047, true); // cmdline_size
  view.setBigUint64(0x258, 0x1000000n, true); // pref_address
  view.setUint32(0x260, 0x800000, true); // init_size
  image[1024] = 0xe9;
  change(view);
  return image;
}

const facts = (ramBytes: number) => ({
  ramBytes,
  memoryMap: firmwareMemoryMap(ramBytes),
  acpiRsdpAddress: 0xe0000,
});

const request = (change: Partial<BootRequest> = {}): BootRequest => ({
  kernel: handMadeImage(),
  commandLine: "console=ttyS0",
  modules: [],
  ...change,
});

/** Applies a plan to fresh memory and registers that only record. */
function applied(wanted: BootRequest, ramBytes: number) {
  const memory = new GuestMemory(new ArrayBuffer(GUEST_RAM + ramBytes), ramBytes);
  const registers: Record<string, bigint> = {};
  const segments: Record<string, unknown> = {};
  applyBootPlan(planLinuxBoot(wanted, facts(ramBytes)), memory, {
    get: (name) => registers[name] ?? 0n,
    set: (name, value) => {
      registers[name] = value;
    },
    setSegment: (name, segment) => {
      segments[name] = segment;
    },
  });
  return { memory, registers, segments };
}

function detailOf(action: () => unknown) {
  try {
    action();
  } catch (error) {
    if (error instanceof VmError) return error.detail;
    throw error;
  }
  return undefined;
}

test("the kernel lies at its preferred address and is entered 0x200 behind it in 64-bit mode", () => {
  const { memory, registers, segments } = applied(request(), 64 * MiB);
  expect(memory.readU8(0x1000000)).toBe(0xe9);
  expect(registers["rip"]).toBe(0x1000200n);
  expect(registers["rsi"]).toBe(0x7000n);
  expect(registers["rflags"]).toBe(2n);
  expect(registers["cr0"]).toBe(0x80000033n);
  expect(registers["efer"]).toBe(0x500n);
  expect(registers["cr4"]).toBe(0x20n);
  expect(segments["cs"]).toEqual({ selector: 0x10, base: 0n, limit: 0xffffffff, attributes: 0xa09b });
  expect(segments["ss"]).toEqual({ selector: 0x18, base: 0n, limit: 0xffffffff, attributes: 0xc093 });
});

test("a kernel without the 64-bit entry point is entered at its start, in 32-bit mode without paging", () => {
  const kernel = handMadeImage((view) => view.setUint16(0x236, 0, true));
  const { memory, registers, segments } = applied(request({ kernel }), 64 * MiB);
  expect(planLinuxBoot(request({ kernel }), facts(64 * MiB)).protocol).toBe("linux-32");
  expect(memory.readU8(0x1000000)).toBe(0xe9);
  expect(memory.readU32(0x7000 + 0x214)).toBe(0x1000000);
  expect(registers).toEqual({
    "gdtr.base": 0x500n,
    "gdtr.limit": 31n,
    "idtr.base": 0n,
    "idtr.limit": 0n,
    cr0: 0x33n,
    rbx: 0n,
    rbp: 0n,
    rdi: 0n,
    rflags: 2n,
    rsp: 0x7000n,
    rsi: 0x7000n,
    rip: 0x1000000n,
  });
  expect(segments["cs"]).toEqual({ selector: 0x10, base: 0n, limit: 0xffffffff, attributes: 0xc09b });
});

test("a boot protocol older than 2.12 has no 64-bit entry point, whatever lies where its flag would be", () => {
  const kernel = handMadeImage((view) => view.setUint16(0x206, 0x020a, true));
  expect(parseLinuxImage(kernel).has64BitEntry).toBe(false);
});

test("a kernel that is not relocatable lies where its header says that its code starts", () => {
  const kernel = handMadeImage((view) => {
    view.setUint8(0x234, 0);
    view.setUint32(0x214, 0x100000, true);
  });
  const { memory, registers } = applied(request({ kernel }), 64 * MiB);
  expect(memory.readU8(0x100000)).toBe(0xe9);
  expect(registers["rip"]).toBe(0x100200n);
});

test("the first 4 GiB are mapped to themselves", () => {
  const { memory, registers } = applied(request(), 64 * MiB);
  const physical = (linear: number) => {
    const entry = (table: bigint, index: number) => memory.readU64(Number(table & ~0xfffn) + index * 8);
    const pml4e = entry(registers["cr3"] ?? 0n, 0);
    const pdpte = entry(pml4e, linear >>> 30);
    const pde = entry(pdpte, (linear >>> 21) & 511);
    return { address: Number(pde & ~0x1fffffn) + (linear & 0x1fffff), flags: Number(pde & 0xfffn) };
  };
  expect(physical(0x00000000)).toEqual({ address: 0x00000000, flags: 0x83 });
  expect(physical(0x01000200)).toEqual({ address: 0x01000200, flags: 0x83 });
  expect(physical(0xfee00020)).toEqual({ address: 0xfee00020, flags: 0x83 });
});

test("the zero page holds the setup header, the command line, the RSDP and the memory map", () => {
  const { memory } = applied(request(), 64 * MiB);
  const zero = 0x7000;
  expect(memory.readU32(zero + 0x202)).toBe(0x53726448);
  expect(memory.readU8(zero + 0x210)).toBe(0xff);
  expect(memory.readU64(zero + 0x070)).toBe(0xe0000n);
  const commandLine = memory.read(memory.readU32(zero + 0x228), 14);
  expect(new TextDecoder("latin1").decode(commandLine)).toBe("console=ttyS0\0");
  const e820 = Array.from({ length: memory.readU8(zero + 0x1e8) }, (_, n) => {
    const at = zero + 0x2d0 + n * 20;
    return [Number(memory.readU64(at)), Number(memory.readU64(at + 8)), memory.readU32(at + 16)];
  });
  expect(e820).toEqual([
    [0x00000, 0x9fc00, 1],
    [0x9fc00, 0x00400, 2],
    [0xe0000, 0x20000, 2],
    [0x100000, 63 * MiB, 1],
  ]);
});

test("the initial RAM disk ends at the top of RAM, page-aligned", () => {
  const initrd = new Uint8Array(5000).fill(0x5a);
  const { memory } = applied(request({ modules: [{ bytes: initrd, commandLine: "" }] }), 64 * MiB);
  expect(memory.readU32(0x7000 + 0x218)).toBe(64 * MiB - 8192);
  expect(memory.readU32(0x7000 + 0x21c)).toBe(5000);
  expect(memory.readU8(64 * MiB - 8192 + 4999)).toBe(0x5a);
});

test("the initial RAM disk stays below initrd_addr_max", () => {
  const kernel = handMadeImage((view) => view.setUint32(0x22c, 0x1ffffff, true));
  const modules = [{ bytes: new Uint8Array(4096), commandLine: "" }];
  const plan = planLinuxBoot(request({ kernel, modules }), facts(64 * MiB));
  expect(plan.memory.at(-1)?.address).toBe(0x1fff000);
});

test("several initial RAM disks are joined at multiples of four bytes", () => {
  const modules = [
    { bytes: new Uint8Array([1, 2, 3]), commandLine: "" },
    { bytes: new Uint8Array([4, 5]), commandLine: "" },
  ];
  const plan = planLinuxBoot(request({ modules }), facts(64 * MiB));
  expect(plan.memory.at(-1)?.bytes).toEqual(new Uint8Array([1, 2, 3, 0, 4, 5, 0, 0]));
});

test("an image that ends early is truncated", () => {
  expect(detailOf(() => parseLinuxImage(handMadeImage().subarray(0, 5000)))).toEqual({
    code: "kernel-truncated",
    expectedBytes: 5120,
    actualBytes: 5000,
  });
  expect(detailOf(() => parseLinuxImage(handMadeImage().subarray(0, 0x210)))?.code).toBe("kernel-truncated");
});

test.each([
  ["an old boot protocol", (view: DataView) => view.setUint16(0x206, 0x0208, true), "2.08"],
  ["a kernel over the boot's own data", (view: DataView) => view.setUint8(0x234, 0), "below 1 MiB"],
  ["a zImage", (view: DataView) => view.setUint8(0x211, 0), "zImage"],
])("%s is unsupported", (_what, change, words) => {
  expect(() => parseLinuxImage(handMadeImage(change))).toThrow(words);
  expect(detailOf(() => parseLinuxImage(handMadeImage(change)))?.code).toBe("kernel-unsupported");
});

test.each([
  ["an empty file", new Uint8Array(0)],
  ["a text", new TextEncoder().encode("not a kernel")],
  ["a gzip file", new Uint8Array([0x1f, 0x8b, 8, 0])],
  ["zeroes", new Uint8Array(20000)],
])("%s is no kernel", (_what, kernel) => {
  expect(detailOf(() => planBoot(request({ kernel }), facts(64 * MiB)))?.code).toBe("kernel-unrecognised");
});

test("what does not fit is refused", () => {
  expect(detailOf(() => planLinuxBoot(request(), facts(16 * MiB)))).toEqual({
    code: "kernel-too-large",
    neededBytes: 24 * MiB,
    availableBytes: 16 * MiB,
  });
  const modules = [{ bytes: new Uint8Array(9 * MiB), commandLine: "" }];
  expect(detailOf(() => planLinuxBoot(request({ modules }), facts(32 * MiB)))).toEqual({
    code: "initrd-too-large",
    initrdBytes: 9 * MiB,
    availableBytes: 8 * MiB,
  });
  expect(detailOf(() => planLinuxBoot(request({ commandLine: "x".repeat(2048) }), facts(64 * MiB)))).toEqual({
    code: "command-line-too-long",
    lengthBytes: 2048,
    maximumBytes: 2047,
  });
});
