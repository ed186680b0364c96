// Frames that delivery and far calls push: several values of one size, on the present stack or a new one,
// written only after the whole frame was found writable.
import { isCodePage } from "../memory/code-map";
import { prepareWriteIn, writeIn } from "../memory/linear-memory";
import { onOnePage } from "../memory/split-access";
import { DEVICE, NOWHERE, translateWrite } from "../memory/translate";
import { asStackFault } from "./faults";

let frameBank: usize = 0;
/** Linear address of the last value pushed. */
let frameAt: u64 = 0;
/** Host address of the same, or 0 where the frame is not on one page of plain RAM. */
let frameHost: usize = 0;

/** Opens a frame whose lowest byte lies at linear address `lowest`. Returns false with the fault set. */
export function openFrame(bank: usize, lowest: u64, bytes: i32): bool {
  frameBank = bank;
  frameAt = lowest + <u64>bytes;
  frameHost = 0;
  if (onOnePage(lowest, bytes)) {
    const host = translateWrite(bank, lowest);
    if (host == NOWHERE) return refuse();
    if (host != DEVICE && !isCodePage(host)) frameHost = host + bytes;
    return true;
  }
  return prepareWriteIn(bank, lowest, bytes) ? true : refuse();
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
