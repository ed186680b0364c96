import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

// Hardware virtualisation is no witness: the KVM of machines that are virtual themselves may emulate a guest's kernel mode.

export const qemuAvailable = spawnSync("qemu-system-x86_64", ["--version"]).status === 0;

const BOCHS_FOLDER = "/usr/share/bochs";
const BOCHS_BIOS = path.join(BOCHS_FOLDER, "BIOS-bochs-latest");
const BOCHS_VGA_BIOS = path.join(BOCHS_FOLDER, "VGABIOS-lgpl-latest");

/** Why Bochs cannot run guests here; undefined when it can. */
export const bochsObstacle = findBochsObstacle();

function findBochsObstacle(): string | undefined {
  if (spawnSync("bochs", ["--help", "cpu"]).status === null) return "there is no bochs";
  const missing = [BOCHS_BIOS, BOCHS_VGA_BIOS].filter((file) => !existsSync(file));
  // Debian's bochs is content with seabios, which has neither.
  return missing.length === 0 ? undefined : `no ${missing.join(", ")}: packages bochsbios and vgabios`;
}

const TIMEOUT_MS = 60_000;
const BOCHS_TIMEOUT_SECONDS = 60;
const FLOPPY_BYTES = 1_474_560;
const SECTOR_BYTES = 512;
const BOOT_SECTOR = path.join(import.meta.dirname, "bochs", "boot-sector.asm");

/** What a guest prints on QEMU's TCG. */
export function runOnQemu(image: Uint8Array): string {
  return inFolder((folder) => {
    const kernel = path.join(folder, "guest.bin");
    writeFileSync(kernel, image);
    const machine = [
      "-accel",
      "tcg",
      "-cpu",
      "max,vendor=GenuineIntel",
      "-M",
      "pc",
      "-m",
      "64",
      "-display",
      "none",
    ];
    const devices = ["-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"];
    const options = [...machine, "-nodefaults", "-no-reboot", ...devices, "-kernel", kernel];
    return spawnSync("qemu-system-x86_64", options, { timeout: TIMEOUT_MS, encoding: "latin1" }).stdout;
  });
}

/** What a guest prints on Bochs, from a floppy disk with a boot sector of ours. */
export function runOnBochs(image: Uint8Array): string {
  return inFolder((folder) => {
    const sectors = Math.ceil(image.length / SECTOR_BYTES);
    const boot = path.join(folder, "boot.bin");
    const { status, stderr } = spawnSync(
      "nasm",
      ["-f", "bin", `-DIMAGE_SECTORS=${sectors}`, "-o", boot, BOOT_SECTOR],
      { encoding: "utf8" },
    );
    if (status !== 0) throw new Error(`nasm refuses boot-sector.asm:\n${stderr}`);
    const floppy = new Uint8Array(FLOPPY_BYTES);
    floppy.set(readFileSync(boot));
    floppy.set(image, SECTOR_BYTES);
    writeFileSync(path.join(folder, "floppy.img"), floppy);
    writeFileSync(path.join(folder, "bochsrc"), BOCHS_SETTINGS);
    // Debian's Bochs has the debugger, which waits for a command, and hangs where its input is a socket, as Node.js gives.
    const command = `printf 'c\\n' | timeout ${BOCHS_TIMEOUT_SECONDS} bochs -q -f bochsrc`;
    const { stdout } = spawnSync("sh", ["-c", command], { cwd: folder, encoding: "latin1" });
    // The emulator's own messages stand around the guest's.
    const from = stdout.indexOf("begin\n");
    const to = stdout.indexOf("\nend\n");
    return from < 0 ? stdout : stdout.slice(from, to < 0 ? undefined : to + 5);
  });
}

const BOCHS_SETTINGS = `config_interface: textconfig
display_library: rfb, options="timeout=0"
megs: 64
romimage: file=${BOCHS_BIOS}
vgaromimage: file=${BOCHS_VGA_BIOS}
floppya: 1_44=floppy.img, status=inserted
boot: floppy
cpu: model=corei7_icelake_u, ips=50000000, ignore_bad_msrs=0, reset_on_triple_fault=0
port_e9_hack: enabled=1
clock: sync=none
log: log.txt
panic: action=report
error: action=report
sound: waveoutdrv=dummy
`;

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-witness-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
