import type { BlockDevice } from "../host/block-device.ts";
import type { ByteStore } from "../host/byte-store.ts";
import type { Decompressor } from "../host/decompressor.ts";
import { VmError } from "../layout/vm-error.ts";
import { MAGIC } from "./qcow2/header.ts";
import { Qcow2Disk } from "./qcow2/qcow2-disk.ts";
import { RawDisk } from "./raw-disk.ts";

export const DISK_FORMATS = ["raw", "qcow2"] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

/** Images below images. */
const MOST_LAYERS = 32;

/** What opening a disk needs of the platform. */
export interface DiskHost {
  readonly decompressor: Decompressor;
  /** Opens a file, the path taken from the folder of `from` where it is not absolute. */
  openFile(path: string, options: { readOnly: boolean; from?: string }): Promise<ByteStore>;
}

/** How a disk is to be opened. */
export interface DiskRequest {
  readonly path: string;
  /** Undefined: by the file's name, see `formatOf`. */
  readonly format?: DiskFormat | undefined;
  readonly readOnly: boolean;
}

/**
 * Opens a disk image with the images it builds upon.
 *
 * @throws {VmError} `file-*`, `disk-image-invalid`. @throws {DiskError}
 */
export async function openDisk(host: DiskHost, request: DiskRequest): Promise<BlockDevice> {
  return openLayer(host, await host.openFile(request.path, request), request, 1);
}

async function openLayer(
  host: DiskHost,
  store: ByteStore,
  { format, readOnly }: { format?: DiskFormat | undefined; readOnly: boolean },
  layer: number,
): Promise<BlockDevice> {
  try {
    if (layer > MOST_LAYERS)
      throw invalid(store.name, `more than ${MOST_LAYERS} images on top of each other`);
    const known = format ?? (await formatOf(store));
    if (known === "raw") return await RawDisk.open(store, readOnly);
    return await Qcow2Disk.open({
      store,
      readOnly,
      decompressor: host.decompressor,
      openBacking: async (name, backingFormat) => {
        const path = name.replace(/^file:/, "");
        const below = { format: knownFormat(store.name, backingFormat), readOnly: true };
        return openLayer(
          host,
          await host.openFile(path, { readOnly: true, from: store.name }),
          below,
          layer + 1,
        );
      },
    });
  } catch (error) {
    await store.close();
    throw error;
  }
}

/**
 * The format that a file's name promises: qcow2 by its ending, else raw.
 *
 * The content does not decide: a guest with a raw disk could write a qcow2
 * header into it, which names any file of the host as the image below. So a
 * content that belies the name is refused until the user says what it is.
 *
 * @throws {VmError} `disk-image-invalid`.
 */
export async function formatOf(store: ByteStore): Promise<DiskFormat> {
  const named = /\.qcow2$/i.test(store.name) ? "qcow2" : "raw";
  const magic = new Uint8Array(4);
  await store.read(0, magic);
  const looksLikeQcow2 = new DataView(magic.buffer).getUint32(0) === MAGIC;
  if (named === "raw" && looksLikeQcow2)
    throw invalid(
      store.name,
      "it looks like qcow2, but its name does not end so; say format=qcow2 or format=raw",
    );
  if (named === "qcow2" && !looksLikeQcow2)
    throw invalid(store.name, "not a qcow2 image, though its name ends so; say format=raw if it is none");
  return named;
}

function knownFormat(path: string, format: string | undefined): DiskFormat | undefined {
  const known = DISK_FORMATS.find((one) => one === format);
  if (format !== undefined && known === undefined)
    throw invalid(path, `the image below has the format ${format}, which is not supported`);
  return known;
}

function invalid(path: string, reason: string): VmError {
  return new VmError({ code: "disk-image-invalid", path, reason });
}
