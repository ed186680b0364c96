import { openDisk } from "../disk/open-disk.ts";
import type { BlockDevice } from "../host/block-device.ts";
import { compileRegions } from "../host/node/compile-regions.ts";
import { CORE_WASM, ensureCore } from "../host/node/core-module.ts";
import { nodeDiskHost } from "../host/node/disk-host.ts";
import { EventLoop } from "../host/node/event-loop.ts";
import { readWholeFile } from "../host/node/files.ts";
import { hostTime } from "../host/node/host-time.ts";
import { VmError } from "../layout/vm-error.ts";
import { createProcessor } from "../machine/create-processor.ts";
import { Machine } from "../machine/machine.ts";
import { VirtioBlk } from "../virtio/blk/virtio-blk.ts";

/** A disk of the builder; the guest finds it as /dev/vda, /dev/vdb and so on. */
export interface BuilderDisk {
  readonly path: string;
  readonly format: "raw" | "qcow2";
  readonly readOnly: boolean;
}

/** What a builder is started with. */
export interface BuilderRequest {
  readonly kernel: Uint8Array<ArrayBuffer>;
  readonly initrd: Uint8Array<ArrayBuffer>;
  readonly commandLine: string;
  readonly memoryBytes: number;
  readonly disks: readonly BuilderDisk[];
  /** Takes each line that the guest prints. */
  readonly onLine: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Longer lines are cut: a guest decides how much it prints. */
const MOST_LINE_BYTES = 4096;

/**
 * Runs a machine of our own that makes something, without a network, until it powers off: in it we are root.
 * @throws {VmError} `image-not-made` when it ends in any other way. Rejects when a disk of it fails.
 */
export async function runBuilder(request: BuilderRequest): Promise<void> {
  ensureCore();
  const loop = new EventLoop();
  const lines = new LineSplitter(request.onLine);
  const disks: BlockDevice[] = [];
  let diskFailure: unknown;
  try {
    for (const disk of request.disks) disks.push(await openDisk(nodeDiskHost, disk));
    const coreModule = new WebAssembly.Module(readWholeFile(CORE_WASM));
    const ramBytes = request.memoryBytes;
    const machine: Machine = new Machine({
      ramBytes,
      deterministic: false,
      noReboot: true,
      host: {
        ...hostTime(loop),
        writeSerial: (bytes) => lines.take(bytes),
        serialCongested: () => false,
      },
      createProcessor: (surroundings, memory) =>
        createProcessor({
          ...{ coreModule, ramBytes, deterministic: false, engine: "auto", surroundings, memory },
          compileRegions,
        }).processor,
      createDevices: ({ operations }) =>
        disks.map(
          (disk, index) =>
            new VirtioBlk({
              disk,
              serial: `disk${index}`,
              operations,
              onError: (error) => {
                diskFailure ??= error;
                machine.stop();
              },
            }),
        ),
      boot: {
        kernel: request.kernel,
        commandLine: request.commandLine,
        modules: [{ bytes: request.initrd, commandLine: "" }],
      },
    });
    request.signal?.addEventListener("abort", () => machine.stop());
    const end = await machine.run();
    if (diskFailure !== undefined) throw diskFailure;
    request.signal?.throwIfAborted();
    if (end.reason !== "power-off")
      throw new VmError({
        code: "image-not-made",
        reason: `the machine that builds it ended (${end.reason})`,
      });
  } finally {
    for (const disk of disks) await disk.close();
  }
}

/** Cuts what a guest prints into lines. */
class LineSplitter {
  readonly #onLine: (line: string) => void;
  #begun = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  take(bytes: Uint8Array): void {
    const lines = (this.#begun + Buffer.from(bytes).toString("latin1")).split(/\r?\n/);
    this.#begun = (lines.pop() ?? "").slice(0, MOST_LINE_BYTES);
    for (const line of lines) this.#onLine(line.slice(0, MOST_LINE_BYTES));
  }
}
