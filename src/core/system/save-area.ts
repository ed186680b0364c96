// FXSAVE, FXRSTOR, XSAVE, XRSTOR: checks, memory, and which components move. save-image.ts has the layout.
// SDM 2 "FXSAVE—Save x87 FPU, MMX Technology, and SSE State", "FXRSTOR", "XSAVE—Save Processor Extended States",
// "XRSTOR—Restore Processor Extended States"; SDM 1 "Managing State Using the XSAVE Feature Set".
//
// Every component counts as in use, so XSAVE writes what it is asked for. The x87 pointers FIP, FDP and
// FOP are always saved and restored, as Intel processors do (AMD: only when FSW.ES is set).
import { CPU_STATE } from "../../layout/memory-map";
import { CODE_BITS, CR0, CR4, RAX, RDX, STATUS_FAULT, STATUS_OK, XCR0 } from "../../layout/cpu-state";
import { isAligned } from "../memory/alignment";
import { prepareWrite } from "../memory/access";
import { readLinear64, writeLinear64 } from "../memory/linear-memory";
import { isCanonical } from "../memory/translate";
import { faulted, raise, raiseGP, raiseNonCanonical, raiseUD, VECTOR_NM } from "../processor/faults";
import { CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXSAVE } from "./control-bits";
import { XCR0_SSE, XCR0_X87 } from "./extended-control";
import {
  IMAGE,
  IMAGE_MXCSR,
  IMAGE_XMM,
  MXCSR_RESERVED,
  imageFromMxcsr,
  imageFromX87,
  imageFromXmm,
  initialiseX87,
  initialiseXmm,
  mxcsrFromImage,
  x87FromImage,
  xmmFromImage,
} from "./save-image";

const HEADER: i32 = 512;
const HEADER_BYTES: i32 = 64;
/** Of the header: XSTATE_BV, XCOMP_BV. */
const XCOMP_BV: i32 = 520;
const X87_POINTERS_BYTES: i32 = 24;
const X87_REGISTERS: i32 = 32;

/** FXSAVE at a linear address. `operand64`: REX.W, 64-bit instruction and operand pointers. */
export function fxsave(va: u64, operand64: i32): i32 {
  const status = checkFx(va);
  if (status != STATUS_OK) return status;
  const withSse = (load<u64>(CPU_STATE + CR4) & CR4_OSFXSR) != 0;
  if (!prepareWrite(va, 512)) return STATUS_FAULT;
  imageFromX87(operand64 != 0);
  if (withSse) {
    imageFromMxcsr();
    imageFromXmm(xmmCount());
    copyOut(va, 0, xmmEnd());
  } else {
    copyOut(va, 0, X87_POINTERS_BYTES);
    copyOut(va, X87_REGISTERS, IMAGE_XMM);
  }
  return STATUS_OK;
}

/** FXRSTOR. */
export function fxrstor(va: u64, operand64: i32): i32 {
  const status = checkFx(va);
  if (status != STATUS_OK) return status;
  if (!copyIn(va, 512)) return STATUS_FAULT;
  const withSse = (load<u64>(CPU_STATE + CR4) & CR4_OSFXSR) != 0;
  if (withSse && load<u32>(IMAGE + IMAGE_MXCSR) & MXCSR_RESERVED) return raiseGP(0);
  x87FromImage(operand64 != 0);
  if (withSse) {
    mxcsrFromImage();
    xmmFromImage(xmmCount());
  }
  return STATUS_OK;
}

/** XSAVE of the components in EDX:EAX AND XCR0. */
export function xsave(va: u64, operand64: i32): i32 {
  const status = checkX(va);
  if (status != STATUS_OK) return status;
  const wanted = requestedComponents();
  if (!prepareWrite(va, HEADER + HEADER_BYTES)) return STATUS_FAULT;
  if (wanted & XCR0_X87) {
    imageFromX87(operand64 != 0);
    copyOut(va, 0, X87_POINTERS_BYTES);
    copyOut(va, X87_REGISTERS, IMAGE_XMM);
  }
  if (wanted & XCR0_SSE) {
    imageFromMxcsr();
    imageFromXmm(xmmCount());
    copyOut(va, IMAGE_MXCSR, X87_REGISTERS);
    copyOut(va, IMAGE_XMM, xmmEnd());
  }
  const present = readLinear64(va + HEADER);
  if (faulted()) return STATUS_FAULT;
  writeLinear64(va + HEADER, present | wanted);
  return STATUS_OK;
}

/** XRSTOR of the components in EDX:EAX AND XCR0; those that XSTATE_BV lacks are initialised. */
export function xrstor(va: u64, operand64: i32): i32 {
  const status = checkX(va);
  if (status != STATUS_OK) return status;
  const wanted = requestedComponents();
  if (!copyIn(va, HEADER + HEADER_BYTES)) return STATUS_FAULT;
  const present = load<u64>(IMAGE + HEADER);
  if (present & ~load<u64>(CPU_STATE + XCR0)) return raiseGP(0);
  // The standard form only: XCOMP_BV and the eight bytes behind it are zero.
  if (load<u64>(IMAGE + XCOMP_BV) || load<u64>(IMAGE + XCOMP_BV + 8)) return raiseGP(0);
  if (wanted & XCR0_SSE && load<u32>(IMAGE + IMAGE_MXCSR) & MXCSR_RESERVED) return raiseGP(0);

  if (wanted & XCR0_X87) {
    if (present & XCR0_X87) x87FromImage(operand64 != 0);
    else initialiseX87();
  }
  if (wanted & XCR0_SSE) {
    // MXCSR comes from memory even where XSTATE_BV says that the XMM registers are initial.
    mxcsrFromImage();
    if (present & XCR0_SSE) xmmFromImage(xmmCount());
    else initialiseXmm(xmmCount());
  }
  return STATUS_OK;
}

function checkFx(va: u64): i32 {
  if (load<u64>(CPU_STATE + CR0) & (CR0_EM | CR0_TS)) return raise(VECTOR_NM);
  if (!isCanonical(va)) return raiseNonCanonical();
  if (!isAligned(va, 4)) return STATUS_FAULT;
  return va & 15 ? raiseGP(0) : STATUS_OK;
}

function checkX(va: u64): i32 {
  if (!(load<u64>(CPU_STATE + CR4) & CR4_OSXSAVE)) return raiseUD();
  if (load<u64>(CPU_STATE + CR0) & CR0_TS) return raise(VECTOR_NM);
  if (!isCanonical(va)) return raiseNonCanonical();
  return va & 63 ? raiseGP(0) : STATUS_OK;
}

// @ts-ignore: decorator
@inline
function requestedComponents(): u64 {
  const mask = <u64>load<u32>(CPU_STATE + RAX) | ((<u64>load<u32>(CPU_STATE + RDX)) << 32);
  return mask & load<u64>(CPU_STATE + XCR0);
}

/** Only 64-bit code reaches XMM8 to XMM15. */
// @ts-ignore: decorator
@inline
function xmmCount(): i32 {
  return load<i32>(CPU_STATE + CODE_BITS) == 64 ? 16 : 8;
}

// @ts-ignore: decorator
@inline
function xmmEnd(): i32 {
  return IMAGE_XMM + xmmCount() * 16;
}

/** Writes bytes first..end-1 of the image, multiples of 8. The range is prepared, so nothing faults. */
function copyOut(va: u64, first: i32, end: i32): void {
  for (let at = first; at < end; at += 8) writeLinear64(va + at, load<u64>(IMAGE + <usize>at));
}

/** Reads the start of the area into the image. Returns false with the fault set. */
function copyIn(va: u64, bytes: i32): bool {
  for (let at = 0; at < bytes; at += 8) {
    const value = readLinear64(va + at);
    if (faulted()) return false;
    store<u64>(IMAGE + <usize>at, value);
  }
  return true;
}
