import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { writeCpio } from "../../src/host/cpio.ts";
import { executable } from "../../src/images/container/exit-program.ts";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { runGuest } from "./console.ts";

const guest = await fetchGuest("cloud-kernel");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const TIMEOUT_MS = 240_000;

const WRITE_TO_DEBUG_EXIT = [
  ...[0xb8, 0xac, 0x00, 0x00, 0x00], // mov eax, 172 (iopl)
  ...[0xbf, 0x03, 0x00, 0x00, 0x00], // mov edi, 3
  ...[0x0f, 0x05], // syscall
  ...[0xba, 0xf4, 0x00, 0x00, 0x00], // mov edx, 0xf4
  ...[0xb0, 0x15], // mov al, 0x15
  0xee, // out dx, al
  ...[0xeb, 0xfe], // jmp $
];

test.skipIf(!guest.available)(
  `a program in the guest ends the machine with status (value << 1) | 1 through the debug-exit port${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    if (!guest.available) return;
    const folder = mkdtempSync(path.join(tmpdir(), "ringfence-debug-exit-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const initrdPath = path.join(folder, "initrd.cpio");
    const init = executable(WRITE_TO_DEBUG_EXIT);
    writeFileSync(initrdPath, writeCpio([{ kind: "file", path: "init", permissions: 0o755, bytes: init }]));
    const files = ["--kernel", guest.kernelPath, "--initrd", initrdPath];
    const options = [...files, "--append", "console=ttyS0 quiet", "--debug-exit", "0xf4"];
    expect((await runGuest(options, [], TIMEOUT_MS)).status).toBe((0x15 << 1) | 1);
  },
);
