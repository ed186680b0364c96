import type { MemoryStatistics } from "../virtio/balloon/balloon-control.ts";
import type { DiskOptions, NetworkOptions, SocketOptions } from "./device-options.ts";

/** What a program may be told of a machine while it lives. */
export interface VirtualMachineEvents {
  /** A line about something slow before the machine is there, such as fetching the default guest. */
  progress?(line: string): void;
  paused?(): void;
  resumed?(): void;
  /** Something of the program or of this computer has failed the guest: a disk, or what answers its HTTP. */
  deviceError?(message: string): void;
  /** The machine has ended; `VirtualMachine.ended` says why. */
  ended?(): void;
}

/** Devices of the guest. A machine that is restored from a snapshot needs the same as when it was saved, in the same order. */
export interface DeviceOptions {
  /** Folders of this computer for the guest. */
  readonly shares?: readonly ShareOptions[];
  /** Disks: /dev/vda, /dev/vdb and so on. */
  readonly disks?: readonly DiskOptions[];
  /** Network cards; none if absent. */
  readonly networks?: readonly NetworkOptions[];
  /** AF_VSOCK sockets; the guest has none if absent. `{}` is for connections to the guest alone. */
  readonly sockets?: SocketOptions;
  /** Lets `setBalloon` take memory from the guest. */
  readonly balloon?: boolean;
  /**
   * For a kernel of your own: `exec` and the like ask the QEMU guest agent in it, which Debian has as the package
   * qemu-guest-agent. The default guest has an agent in any case.
   */
  readonly guestAgent?: boolean;
}

export interface RestoreOptions extends DeviceOptions {
  /** How instructions are executed; `auto`, which translates what is hot, if absent. */
  readonly engine?: "interpreter" | "auto";
  /**
   * With `auto`: translates and optimises at once what runs some thousand times, for later machines with the same code. Their
   * starts are faster for it; this machine takes several times as long.
   */
  readonly learn?: boolean;
  /** A reset by the guest ends the machine instead of starting it again. */
  readonly noReboot?: boolean;
  /** Ends the machine when it is aborted, at any time. */
  readonly signal?: AbortSignal;
  readonly events?: VirtualMachineEvents;
}

/** A folder of this computer that a guest sees. Nothing outside of it is ever reached. */
export interface ShareOptions {
  readonly path: string;
  /** By which the guest mounts it, and where the default guest has it: /mnt/TAG. The folder's own name if absent. */
  readonly tag?: string;
  /** `virtiofs` if absent, which the default guest's kernel has; it has no 9p. */
  readonly protocol?: "virtiofs" | "9p";
  readonly readOnly?: boolean;
  /** As whom the guest sees files of the user who runs this program: root if absent. A program run by root passes all owners as they are if absent. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Passes "user." extended attributes; needs the package @napi-rs/xattr. */
  readonly extendedAttributes?: boolean;
}

export interface CreateOptions extends RestoreOptions {
  /** A Linux bzImage or a multiboot ELF, as a path or its bytes. Absent: the default guest. */
  readonly kernel?: string | Uint8Array;
  /** An initial RAM disk, or a multiboot module. */
  readonly initrd?: string | Uint8Array;
  /** For the kernel; for the default guest, added to its own. */
  readonly commandLine?: string;
  /** A whole number of pages of 4096 bytes, from 2 MiB to 3 GiB; 512 MiB if absent. */
  readonly memoryBytes?: number;
  /** Time is a function of the instructions executed, and random numbers come from a fixed seed. */
  readonly deterministic?: boolean;
  /** A port, 0..0xffff, through which the guest ends the machine with a value. */
  readonly debugExitPort?: number;
}

export interface SnapshotOptions {
  /** Path of an earlier snapshot in the same folder: only what has changed since then is saved. */
  readonly parentPath?: string;
  /** False: the file is larger, and restored sooner. True if absent. */
  readonly packed?: boolean;
}

export interface SnapshotSummary {
  readonly fileBytes: number;
  /** Pages of guest memory in the file; those of zeroes are left out. */
  readonly pages: number;
  /** SHA-256 as hexadecimal digits. */
  readonly checksum: string;
}

export interface ExecOptions {
  /** Standard input; empty if absent. A stream is read to its end first, up to 64 MiB. */
  readonly input?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working folder in the guest. */
  readonly cwd?: string;
  /** Kills the command and all that is in its session. */
  readonly signal?: AbortSignal;
  /**
   * Gets the output while the command runs, without a limit; the result has none then. More is fetched when its promise
   * has resolved.
   */
  readonly output?: (stream: "stdout" | "stderr", bytes: Uint8Array) => Promise<void> | void;
  /** For standard output and error together; 64 MiB if absent. More is a `command-output-too-large`. */
  readonly mostOutputBytes?: number;
}

export interface CopyOptions {
  /** Ends the copy; what has come stays. */
  readonly signal?: AbortSignal;
}

export interface CopySummary {
  /** Where the file or the folder is now. */
  readonly path: string;
  /** Files and symbolic links. */
  readonly files: number;
  /** Of the files' contents. */
  readonly bytes: number;
  /** Devices, sockets and pipes in a folder, which are not copied. */
  readonly leftOut: number;
  /** The first hundred of these. */
  readonly leftOutNames: readonly string[];
}

export interface CommandResult {
  /** Exit status, 0..255; 128 + n after signal n. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Uint8Array;
  readonly stderrBytes: Uint8Array;
}

export interface BalloonState {
  /** What `setBalloon` has asked for. */
  readonly targetBytes: number;
  /** What the guest has given up. */
  readonly inflatedBytes: number;
  /** Free pages that the guest has reported since the machine was made, which take no memory of this computer. */
  readonly reportedBytes: number;
  /** What the guest says of its memory; undefined where its driver does not answer. */
  readonly statistics: MemoryStatistics | undefined;
}

export interface VirtualMachineStatistics {
  readonly instructions: number;
  /** Time that has passed for the guest. */
  readonly guestTimeNs: number;
  readonly resets: number;
}
