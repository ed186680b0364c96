import { spawn } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { type CpioEntry, writeCpio } from "../../src/host/cpio.ts";
import { BUSYBOX, fetchDebianFiles } from "../../src/host/node/debian-guests.ts";
import { GuestCache } from "../../src/host/node/guest-cache.ts";
import { fetchGuest } from "../fetch-guests.ts";

/** What is booted, once under QEMU and once here. */
export interface LoggedBoot {
  readonly kernelPath: string;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
  readonly memory: string;
}

export const LOGGED_GUESTS = ["cloud-kernel", "standard-kernel", "debian-installer"] as const;
export type LoggedGuest = (typeof LOGGED_GUESTS)[number];

const RINGFENCE = path.resolve(import.meta.dirname, "..", "..", "bin", "ringfence");
const TIMEOUT_MS = 1_200_000;

const PRINT_LOG = `/log/busybox dmesg -n 1
/log/busybox sleep 1
/log/busybox dmesg -r
/log/busybox poweroff -f
`;

/** Mounts what a shell wants, then prints the log and powers off. */
const INIT_OF_KERNELS = `#!/log/busybox sh
/log/busybox mkdir -p /proc /sys /dev
/log/busybox mount -t proc proc /proc
/log/busybox mount -t sysfs sysfs /sys
/log/busybox mount -t devtmpfs devtmpfs /dev
${PRINT_LOG}`;

/** Lets the installer start as always, and prints the log when it has asked its first question. */
const INIT_OF_INSTALLER = `#!/log/busybox sh
(
  until /log/busybox grep -q localechooser /proc/[0-9]*/cmdline 2>/dev/null; do /log/busybox sleep 1; done
  /log/busybox sleep 10
  ${PRINT_LOG.replaceAll("\n", "\n  ")}
) </dev/console >/dev/console 2>&1 &
exec /init
`;

/** @throws {Error} Where the guest or busybox is not to be had. */
export async function prepareBoot(name: LoggedGuest, progress: (line: string) => void): Promise<LoggedBoot> {
  const guest = await fetchGuest(name, progress);
  if (!guest.available) throw new Error(guest.reason);
  const { busybox = "" } = await fetchDebianFiles(new GuestCache(), BUSYBOX, progress);
  chmodSync(busybox, 0o755);
  const installer = name === "debian-installer";
  const addition = logInitramfs(readFileSync(busybox), installer ? INIT_OF_INSTALLER : INIT_OF_KERNELS);
  const own = guest.initrdPath === undefined ? undefined : gunzipSync(readFileSync(guest.initrdPath));
  return {
    kernelPath: guest.kernelPath,
    // The kernel unpacks archives that follow one another into the same root.
    initrd: own === undefined ? addition : Buffer.concat([own, addition]),
    commandLine: "console=ttyS0 rdinit=/log/init panic=-1 log_buf_len=4M",
    memory: installer ? "1G" : "512M",
  };
}

function logInitramfs(busybox: Uint8Array, init: string): Uint8Array<ArrayBuffer> {
  const entries: CpioEntry[] = [
    { kind: "folder", path: "dev" },
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "folder", path: "log" },
    { kind: "file", path: "log/busybox", permissions: 0o755, bytes: busybox },
    { kind: "file", path: "log/init", permissions: 0o755, bytes: new TextEncoder().encode(init) },
  ];
  return writeCpio(entries);
}

/** Boots in QEMU's emulator of a PC; returns what came over the serial line. */
export function bootInQemu(boot: LoggedBoot, initrdPath: string): Promise<string> {
  const machine = ["-accel", "tcg", "-machine", "pc", "-cpu", "qemu64", "-m", boot.memory];
  const ends = ["-display", "none", "-serial", "stdio", "-net", "none", "-no-reboot"];
  const guest = ["-kernel", boot.kernelPath, "-initrd", initrdPath, "-append", boot.commandLine];
  return outputOf("qemu-system-x86_64", [...machine, ...ends, ...guest]);
}

/** Boots here; returns what came over the serial line. */
export function bootHere(boot: LoggedBoot, initrdPath: string): Promise<string> {
  const guest = ["--kernel", boot.kernelPath, "--initrd", initrdPath, "--append", boot.commandLine];
  return outputOf(RINGFENCE, ["run", "--no-reboot", "--memory", boot.memory, ...guest]);
}

function outputOf(program: string, parameters: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { stdio: ["ignore", "pipe", "inherit"] });
    const timer = setTimeout(() => child.kill(), TIMEOUT_MS);
    let output = "";
    child.stdout.setEncoding("latin1").on("data", (text: string) => {
      output += text;
    });
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      if (status === 0) resolve(output);
      else reject(new Error(`${program} ended with status ${status} after:\n${output.slice(-2000)}`));
    });
  });
}
