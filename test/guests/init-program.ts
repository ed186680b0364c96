const LOAD_ADDRESS = 0x400000;
const HEADERS_BYTES = 64 + 56;

/** A static ELF program of nothing but `code` (64-bit), for use as init. */
export function elfProgram(code: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADERS_BYTES + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELF, 64-bit, little-endian, version 1
  view.setUint16(16, 2, true); // e_type: executable
  view.setUint16(18, 62, true); // e_machine: x86-64
  view.setUint32(20, 1, true); // e_version
  view.setBigUint64(24, BigInt(LOAD_ADDRESS + HEADERS_BYTES), true); // e_entry
  view.setBigUint64(32, 64n, true); // e_phoff
  view.setUint16(52, 64, true); // e_ehsize
  view.setUint16(54, 56, true); // e_phentsize
  view.setUint16(56, 1, true); // e_phnum
  view.setUint32(64, 1, true); // p_type: load
  view.setUint32(68, 5, true); // p_flags: read, execute
  view.setBigUint64(80, BigInt(LOAD_ADDRESS), true); // p_vaddr
  view.setBigUint64(96, BigInt(bytes.length), true); // p_filesz
  view.setBigUint64(104, BigInt(bytes.length), true); // p_memsz
  view.setBigUint64(112, 4096n, true); // p_align
  bytes.set(code, HEADERS_BYTES);
  return bytes;
}
