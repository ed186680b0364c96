// Frames that delivery and far calls push: several values of one size, on the present stack or a new one,
// written only after the whole frame was found writable.
import { PAGE_BYTES } from "../../layout/memory-map";
import { isCodePage } from "../memory/code-map";
import { prepareWriteIn, writeIn } from "../memory/linear-memory";
import { onOnePage } from "../memory/split-access";
import { DEVICE, NOWHERE, translateWrite } from "../memory/translate";
import { asStackFault } from "./faults";
import { isLongMode } from "./mode";

let frameBank: usize = 0;
/** Linear address of the last value pushed. */
let frameAt: u64 = 0;
/** Host address of the same, or 0 where the frame is not on one page of plain RAM. */
let frameHost: usize = 0;

/**
 * Opens a frame of values of `width` bytes whose lowest byte lies at linear address `lowest`. Returns false with the fault
 * set: that of the first value, from the top, that cannot be pushed.
 */
export function openFrame(bank: usize, lowest: u64, bytes: i32, width: i32): bool {
  frameBank = bank;
  frameAt = lowest + <u64>bytes;
  frameHost = 0;
  const first = wrapped(frameAt - <u64>width);
  const host = translateWrite(bank, first);
  if (host == NOWHERE) return refuse();
  if (onOnePage(lowest, bytes)) {
    if (host != DEVICE && !isCodePage(host)) frameHost = host + width;
    return true;
  }
  const below = first & (PAGE_BYTES - 1);
  const onLowerPage = wrapped(first - (below / width + 1) * width);
  if (below < <u64>bytes && translateWrite(bank, onLowerPage) == NOWHERE) return refuse();
  return prepareWriteIn(bank, lowest, bytes) ? true : refuse();
}

/** Outside of long mode addresses wrap at 4 GiB. */
// @ts-ignore: decorator
@inline
function wrapped(address: u64): u64 {
  return isLongMode() ? address : address & 0xffffffff;
}

function refuse(): bool {
  asStackFault();
  return false;
}

/** Pushes a value of 16, 32 or 64 bits. */
export function framePush(value: u64, bits: i32): void {
  if (bits == 64) {
    framePush64(value);
    return;
  }
  const bytes = bits >> 3;
  frameAt -= bytes;
  if (frameHost) {
    frameHost -= bytes;
    if (bits == 32) store<u32>(frameHost, <u32>value);
    else store<u16>(frameHost, <u16>value);
  } else if (bits == 32) writeIn<u32>(frameBank, frameAt, <u32>value);
  else writeIn<u16>(frameBank, frameAt, <u16>value);
}

export function framePush64(value: u64): void {
  frameAt -= 8;
  if (frameHost) {
    frameHost -= 8;
    store<u64>(frameHost, value);
  } else writeIn<u64>(frameBank, frameAt, value);
}
