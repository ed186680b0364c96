const LOAD_ADDRESS = 0x400000;
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const HEADERS_BYTES = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES;
const SYS_IOPERM = 173;
const SYS_EXIT = 60;

/**
 * A static Linux program that reads a byte from standard input and writes it to an I/O port: Debian's cloud kernel
 * has no /dev/port, and busybox no command for it.
 *
 * @param port 0 to 0xffff.
 */
export function portWriter(port: number): Uint8Array<ArrayBuffer> {
  const code = [
    ...[0x31, 0xc0], // xor eax, eax: read
    ...[0x31, 0xff], // xor edi, edi
    ...[0x48, 0x89, 0xe6], // mov rsi, rsp
    ...[0xba, ...doubleWord(1)], // mov edx, 1
    ...[0x0f, 0x05], // syscall
    ...[0xb8, ...doubleWord(SYS_IOPERM)], // mov eax, ioperm
    ...[0xbf, ...doubleWord(port)], // mov edi, port
    ...[0xbe, ...doubleWord(1)], // mov esi, 1
    ...[0xba, ...doubleWord(1)], // mov edx, 1
    ...[0x0f, 0x05], // syscall
    ...[0xba, ...doubleWord(port)], // mov edx, port
    ...[0x8a, 0x04, 0x24], // mov al, [rsp]
    0xee, // out dx, al
    ...[0xb8, ...doubleWord(SYS_EXIT)], // mov eax, exit
    ...[0x31, 0xff], // xor edi, edi
    ...[0x0f, 0x05], // syscall
  ];
  return executable(code);
}

/** An ELF file of 64-bit code with one segment, which begins with the headers (System V ABI, chapters 4 and 5). */
export function executable(code: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADERS_BYTES + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // 64-bit, little-endian, version 1
  view.setUint16(16, 2, true); // e_type: executable
  view.setUint16(18, 62, true); // e_machine: x86-64
  view.setUint32(20, 1, true); // e_version
  view.setBigUint64(24, BigInt(LOAD_ADDRESS + HEADERS_BYTES), true); // e_entry
  view.setBigUint64(32, BigInt(ELF_HEADER_BYTES), true); // e_phoff
  view.setUint16(52, ELF_HEADER_BYTES, true); // e_ehsize
  view.setUint16(54, PROGRAM_HEADER_BYTES, true); // e_phentsize
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

function doubleWord(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
}
