/** Multiboot kernels of raw bytes: they lie at 1 MiB, and start behind their header in 32-bit protected mode without paging. */
export const KERNEL_ADDRESS = 0x100000;
export const HEADER_BYTES = 32;

export function multibootImage(code: Uint8Array): Uint8Array {
  const image = new Uint8Array(HEADER_BYTES + Math.ceil(code.length / 4) * 4);
  const flags = 0x10000;
  const end = KERNEL_ADDRESS + image.length;
  const fields = [
    0x1badb002,
    flags,
    -(0x1badb002 + flags) >>> 0,
    KERNEL_ADDRESS,
    KERNEL_ADDRESS,
    end,
    end,
    KERNEL_ADDRESS + HEADER_BYTES,
  ];
  new Uint32Array(image.buffer, 0, 8).set(fields);
  image.set(code, HEADER_BYTES);
  return image;
}

/** A multiboot ELF32 executable with one segment. */
export function elfImage(code: Uint8Array, { address = KERNEL_ADDRESS, memoryBytes = 0 } = {}): Uint8Array {
  const image = new Uint8Array(256 + code.length);
  const view = new DataView(image.buffer);
  const words: readonly (readonly [number, number])[] = [
    [0, 0x464c457f],
    [4, 0x00010101],
    [16, 0x00030002],
    [20, 1],
    [24, address + 128],
    [28, 52],
    [40, 0x00200034],
    [44, 1],
    [52, 1],
    [56, 128],
    [60, address + 128],
    [64, address + 128],
    [68, 128 + code.length],
    [72, Math.max(128 + code.length, memoryBytes)],
    [128, 0x1badb002],
    [132, 0],
    [136, -0x1badb002 >>> 0],
  ];
  for (const [at, word] of words) view.setUint32(at, word, true);
  // The entry is behind the multiboot header.
  view.setUint32(24, address + 256, true);
  image.set(code, 256);
  return image;
}

/** A bzImage of one setup sector and `payload`, which starts at its 64-bit entry point with paging on. */
export function linuxImage(payload: Uint8Array, change: (view: DataView) => void = () => {}): Uint8Array {
  const image = new Uint8Array(1024 + Math.ceil((0x200 + payload.length) / 16) * 16);
  const view = new DataView(image.buffer);
  view.setUint8(0x1f1, 1); // setup_sects
  view.setUint32(0x1f4, (image.length - 1024) / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint8(0x201, 0x6a);
  view.setUint32(0x202, 0x53726448, true); // "HdrS"
  view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x211, 1); // LOADED_HIGH
  view.setUint32(0x22c, 0x7fffffff, true);
  view.setUint32(0x230, 0x200000, true);
  view.setUint8(0x234, 1);
  view.setUint16(0x236, 0x3f, true); // xloadflags
  view.setUint32(0x238, 2047, true);
  view.setBigUint64(0x258, 0x1000000n, true);
  view.setUint32(0x260, 0x400000, true);
  image.set(payload, 1024 + 0x200);
  change(view);
  return image;
}
