import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { elfImage, linuxImage, multibootImage } from "./images.ts";

const BIN = path.resolve(import.meta.dirname, "../../bin/ringfence");
const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-hostile-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, bytes: Uint8Array): string {
  writeFileSync(path.join(folder, name), bytes);
  return name;
}

function run(...parameters: string[]) {
  const { status, stdout, stderr, signal } = spawnSync(BIN, ["run", ...parameters], {
    cwd: folder,
    encoding: "utf8",
    input: "",
    timeout: 60_000,
  });
  return { status, stdout, stderr, signal };
}

/** One line that names what is wrong, an even status, and no trace of a stack. */
function refusal(...parameters: string[]): string {
  const { status, stdout, stderr } = run(...parameters);
  expect(stderr.split("\n").length, stderr).toBe(2);
  expect(stderr).toMatch(/^ringfence: /);
  expect(stderr).not.toMatch(/internal error|\bat .*:\d+:\d+/);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  return stderr.slice("ringfence: ".length, -1);
}

const HLT = Uint8Array.of(0xf4);
const bzImage = linuxImage(new Uint8Array(8192).fill(0xf4));

test.each([
  [0, "cut: cannot be read: it is empty; check the path after --kernel"],
  [
    1,
    "cut: not a kernel that can be started: it is neither a Linux bzImage nor a multiboot kernel; pass a Linux bzImage (vmlinuz) or a multiboot ELF32 file",
  ],
  [
    0x200,
    "cut: not a kernel that can be started: it is neither a Linux bzImage nor a multiboot kernel; pass a Linux bzImage (vmlinuz) or a multiboot ELF32 file",
  ],
  [0x206, "cut: the kernel image ends at byte 518, but its headers promise 612; copy or download it again"],
  [
    1024,
    `cut: the kernel image ends at byte 1024, but its headers promise ${bzImage.length}; copy or download it again`,
  ],
  [
    bzImage.length - 16,
    `cut: the kernel image ends at byte ${bzImage.length - 16}, but its headers promise ${bzImage.length}; copy or download it again`,
  ],
])("a bzImage cut off at byte %i", (length, message) => {
  expect(refusal("--kernel", file("cut", bzImage.subarray(0, length)))).toBe(message);
});

test.each([40, 100, 140, 200, 270])("a multiboot ELF file cut off at byte %i", (length) => {
  expect(refusal("--kernel", file("elf-cut", elfImage(new Uint8Array(100)).subarray(0, length)))).toMatch(
    length < 140
      ? /^elf-cut: not a kernel that can be started: it is an ELF file without a multiboot header; .*pass a Linux bzImage/
      : /^elf-cut: the kernel image ends at byte \d+, but its headers promise \d+; copy or download it again$/,
  );
});

test.each<[string, Uint8Array | string, RegExp]>([
  ["a program", "/bin/sh", /^\/bin\/sh: .* ELF file without a multiboot header/],
  [
    "a text",
    new TextEncoder().encode("hello\n".repeat(1000)),
    /neither a Linux bzImage nor a multiboot kernel/,
  ],
  ["a gzip file", Uint8Array.of(0x1f, 0x8b, 8, 0, ...new Uint8Array(100)), /gzip file; unpack it first/],
  ["random bytes", Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) >> 3), /neither/],
  ["a Linux kernel for low memory", linuxImage(HLT, (v) => v.setUint8(0x211, 0)), /a bzImage is needed/],
  [
    "an old Linux kernel",
    linuxImage(HLT, (v) => v.setUint16(0x206, 0x0206, true)),
    /version 2\.06 of the Linux boot protocol; 2\.10 or newer/,
  ],
  [
    "a kernel that is larger than memory",
    linuxImage(HLT, (v) => v.setUint32(0x260, 0x70000000, true)),
    /needs memory up to byte \d+, but the guest has \d+ bytes; give more with --memory/,
  ],
  [
    "a kernel that prefers to lie beyond memory",
    linuxImage(HLT, (v) => v.setBigUint64(0x258, 0xffffffff_00000000n, true)),
    /needs memory up to byte/,
  ],
  [
    "a multiboot kernel on top of the firmware's data",
    elfImage(HLT, { address: 0x1000 }),
    /wants to lie at 0x/,
  ],
  ["a multiboot kernel beyond memory", elfImage(HLT, { address: 0xf0000000 }), /needs memory|wants to lie/],
  [
    "a multiboot kernel with zeroes beyond memory",
    elfImage(HLT, { memoryBytes: 0xe0000000 }),
    /needs memory up to byte|wants to lie/,
  ],
])("%s in place of a kernel", (_name, image, message) => {
  expect(refusal("--kernel", typeof image === "string" ? image : file("wrong", image))).toMatch(message);
});

test("an initial RAM disk larger than memory is refused for bzImage and multiboot alike", () => {
  const big = path.join(folder, "big");
  writeFileSync(big, "");
  truncateSync(big, 40 << 20);
  for (const kernel of [file("k1", bzImage), file("k2", multibootImage(HLT))]) {
    expect(refusal("--kernel", kernel, "--initrd", "big", "--memory", "32M")).toMatch(
      /^big: the initial RAM disk has 41943040 bytes, but only \d+ are free for it; give more with --memory$/,
    );
  }
});

test("an absent, empty or unreadable initial RAM disk is named", () => {
  const kernel = file("k3", bzImage);
  expect(refusal("--kernel", kernel, "--initrd", "nowhere")).toBe(
    "nowhere: no such file; check the path after --initrd",
  );
  expect(refusal("--kernel", kernel, "--initrd", file("nothing", new Uint8Array()))).toBe(
    "nothing: cannot be read: it is empty; check the path after --initrd",
  );
  expect(refusal("--kernel", kernel, "--initrd", folder)).toBe(
    `${folder}: cannot be read: it is a folder; check the path after --initrd`,
  );
  const secret = path.join(folder, file("secret", HLT));
  chmodSync(secret, 0);
  if (process.getuid?.() !== 0) expect(refusal("--kernel", secret)).toContain("permission denied");
});

test("a device without an end is not read for ever", () => {
  expect(refusal("--kernel", "/dev/zero")).toBe(
    "/dev/zero: cannot be read: it is a device; check the path after --kernel",
  );
});

test("a command line longer than the kernel takes", () => {
  expect(refusal("--kernel", file("k4", bzImage), "--append", "x".repeat(3000))).toBe(
    "--append: the kernel command line has 3000 bytes; this kernel takes at most 2047",
  );
});

test.each([
  ["--memory", "0"],
  ["--memory", "0M"],
  ["--memory", "-5M"],
  ["--memory", "1e3M"],
  ["--memory", "NaN"],
  ["--memory", "Infinity"],
  ["--memory", "4G"],
  ["--memory", "32.0001M"],
  ["--memory", "9999999999999999999999G"],
  ["--memory", ""],
  ["--memory", "0x40M"],
  ["--memory"],
  ["--debug-exit", "65536"],
  ["--debug-exit", "-1"],
  ["--debug-exit", "f4"],
  ["--debug-exit", "1.5"],
  ["--engine", "jit"],
  ["--trace", ""],
  ["--trace", "faults,,"],
  ["--serial", ""],
  ["--serial", "file:"],
  ["--no-such"],
  ["--"],
  ["-k"],
  ["--kernel"],
  ["--deterministic=yes"],
  ["--stats", "--stats"],
])("%s %s is answered in one line that names it", (...parameters) => {
  expect(refusal(...parameters)).toContain(parameters[0]!.split("=")[0]);
});

// From here on the guest starts.
const withEnd = (name: string, code: number[], ...more: string[]) =>
  run(
    "--kernel",
    file(name, multibootImage(Uint8Array.from(code))),
    "--memory",
    "32M",
    "--deterministic",
    ...more,
  );

test("a triple fault ends with its own status under --no-reboot, and says so", () => {
  // lidt of zeroes; ud2. The pointer is in low memory that is zero.
  const { status, stderr } = withEnd(
    "triple",
    [0x0f, 0x01, 0x1d, 0x00, 0x00, 0x08, 0x00, 0x0f, 0x0b],
    "--no-reboot",
  );
  expect({ status, stderr }).toEqual({
    status: 6,
    stderr: "ringfence: the guest's processor shut down after a triple fault\n",
  });
});

test("a reset ends with its own status under --no-reboot", () => {
  const { status, stderr } = withEnd("reset", [0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe], "--no-reboot");
  expect({ status, stderr }).toEqual({ status: 4, stderr: "ringfence: the guest reset the machine\n" });
});

test("debug-exit ends with an odd status", () => {
  expect(withEnd("debug-exit", [0xb0, 0x21, 0xe6, 0xf4, 0xeb, 0xfe], "--debug-exit", "0xf4").status).toBe(
    0x43,
  );
});

test.each([
  ["the local APIC", 0xfee00000],
  ["the I/O APIC", 0xfec00000],
  ["the HPET", 0xfed00000],
  ["nothing, behind RAM", 0x08000000],
  ["the reset vector's ROM", 0xfffffff0],
  ["the last byte of RAM", 0x01ffffff],
  ["the last byte of the address space", 0xffffffff],
])("a jump into %s ends in a triple fault, not in a crash", (_name, address) => {
  const bytes = [address & 255, (address >>> 8) & 255, (address >>> 16) & 255, address >>> 24];
  // jmp to it, by mov eax, imm32; jmp eax. There is no IDT.
  const { status, stderr } = withEnd(
    "jump",
    [0x0f, 0x01, 0x1d, 0x00, 0x00, 0x08, 0x00, 0xb8, ...bytes, 0xff, 0xe0],
    "--no-reboot",
  );
  expect({ status, stderr }).toEqual({
    status: 6,
    stderr: "ringfence: the guest's processor shut down after a triple fault\n",
  });
});

/** Runs a guest that never ends by itself, and ends it by what a user would type. Returns its status and how late that was. */
async function quit(
  name: string,
  code: number[],
  keys: string,
  afterMs: number,
): Promise<{ status: number | null; lateMs: number }> {
  const kernel = file(name, multibootImage(Uint8Array.from(code)));
  // script(1) gives it a terminal.
  const child = spawn(
    "script",
    ["-qfec", `${BIN} run --kernel ${kernel} --memory 32M --stats`, "/dev/null"],
    { cwd: folder, stdio: ["pipe", "pipe", "inherit"] },
  );
  child.stdout.resume();
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  const asked = performance.now();
  child.stdin.write(keys);
  const status = await new Promise<number | null>((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    child.on("exit", (code2) => {
      clearTimeout(timer);
      resolve(code2);
    });
  });
  return { status, lateMs: performance.now() - asked };
}

test.each<[string, number[]]>([
  ["HLT with interrupts off", [0xfa, 0xf4, 0xeb, 0xfd]],
  ["a loop of one jump", [0xeb, 0xfe]],
  ["resets in a row", [0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe]],
  ["triple faults in a row", [0x0f, 0x01, 0x1d, 0x00, 0x00, 0x08, 0x00, 0x0f, 0x0b]],
  // mov edi, 0xfe000000; mov ecx, -1; rep stosd; jmp back
  ["REP STOS into nothing", [0xbf, 0, 0, 0, 0xd0, 0xb9, 0xff, 0xff, 0xff, 0x0f, 0xf3, 0xab, 0xeb, 0xf2]],
  // mov dx, 0x80; mov ecx, -1; rep outsb; jmp back
  ["REP OUTS", [0xba, 0x80, 0, 0, 0, 0xb9, 0xff, 0xff, 0xff, 0x7f, 0xf3, 0x6e, 0xeb, 0xf2]],
])(
  "Ctrl-A X ends %s at once",
  async (_name, code) => {
    const { status, lateMs } = await quit("endless", code, "\x01x", 2500);
    expect(status).toBe(0);
    expect(lateMs).toBeLessThan(3000);
  },
  60_000,
);
