// Write traces on decoded code: CODE_MAP (layout/memory-map.ts) has a bit for each 64 bytes of a page.
import { CODE_CHUNK_SHIFT, CODE_MAP, CPU_STATE, GUEST_RAM, PAGE_BYTES } from "../../layout/memory-map";
import { COUNT_CODE_WRITE } from "../../layout/cpu-state";
import { codeWritten } from "../host";
import { noteDirty } from "./dirty-pages";

/** Whether the page of a host address in guest RAM holds decoded code. */
// @ts-ignore: decorator
@inline
export function isCodePage(host: usize): bool {
  return load<u64>((((host - GUEST_RAM) >> 12) << 3) + CODE_MAP) != 0;
}

/** Bytes of one page of guest RAM were written: the decoder is told if decoded code covers them. */
// @ts-ignore: decorator
@inline
export function noteRamWrite(host: usize, bytes: i32): void {
  noteDirty(host);
  if (isCodePage(host)) noteCodePageWrite(host, bytes);
}

function noteCodePageWrite(host: usize, bytes: i32): void {
  const page = (host - GUEST_RAM) >> 12;
  const first = <i32>(host & 0xfff);
  const last = first + bytes - 1;
  const firstChunk: u64 = <u64>(first >> CODE_CHUNK_SHIFT);
  const lastChunk: u64 = <u64>(last >> CODE_CHUNK_SHIFT);
  // Bits firstChunk..lastChunk.
  const touched = (<u64>~0 >> (63 - lastChunk)) & (<u64>~0 << firstChunk);
  if (!(load<u64>((page << 3) + CODE_MAP) & touched)) return;
  store<i64>(CPU_STATE + COUNT_CODE_WRITE, load<i64>(CPU_STATE + COUNT_CODE_WRITE) + 1);
  codeWritten(<i32>page, first, last);
}

/** Tells the decoder of bytes that a device wrote: any number from a guest physical address on, all of them RAM. */
export function noteDeviceWrite(address: u32, bytes: u32): void {
  let host: usize = GUEST_RAM + address;
  const end = host + bytes;
  while (host < end) {
    const pageEnd = (host & ~(PAGE_BYTES - 1)) + PAGE_BYTES;
    const pieceEnd = pageEnd < end ? pageEnd : end;
    noteRamWrite(host, <i32>(pieceEnd - host));
    host = pieceEnd;
  }
}
