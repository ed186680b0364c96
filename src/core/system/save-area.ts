// FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC, XRSTOR: checks, memory, and which components move. save-image.ts has the layout.
// SDM 2 "FXSAVE—Save x87 FPU, MMX Technology, and SSE State", "FXRSTOR", "XSAVE—Save Processor Extended States",
// "XRSTOR—Restore Processor Extended States"; SDM 1 "Managing State Using the XSAVE Feature Set".
//
// x87 and SSE state count as in use always, AVX state while an upper half is not zero, PKRU while it is not zero. AVX state
// lies at the same place in the standard and in the compacted form; PKRU behind it, or in its place where it is not. The x87 pointers FIP, FDP and
// FOP are always saved and restored, as Intel processors do (AMD: only when FSW.ES is set).
import { CPU_STATE, TLB_WRITE } from "../../layout/memory-map";
import { CODE_BITS, CR0, CR4, PKRU, RAX, RDX, STATUS_FAULT, STATUS_JUMP, STATUS_OK, XCR0 } from "../../layout/cpu-state";
import { isAligned } from "../memory/alignment";
import { prepareWrite } from "../memory/access";
import { knownHost, readLinear64, writeLinear64 } from "../memory/linear-memory";
import { currentBank, isCanonical } from "../memory/translate";
import { faulted, raise, raiseGP, raiseNonCanonical, raiseUD, VECTOR_NM } from "../processor/faults";
import { CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXSAVE } from "./control-bits";
import { offersCompaction, XCR0_AVX, XCR0_PKRU, XCR0_SSE, XCR0_X87 } from "./offered-states";
import { setProtectionKeys } from "./protection-keys";
import {
  IMAGE,
  IMAGE_MXCSR,
  IMAGE_XMM,
  IMAGE_YMM,
  MXCSR_RESERVED,
  imageFromMxcsr,
  imageFromX87,
  imageFromXmm,
  imageFromYmm,
  initialiseMxcsr,
  initialiseX87,
  initialiseXmm,
  initialiseYmm,
  mxcsrFromImage,
  usesYmm,
  x87FromImage,
  xmmFromImage,
  ymmFromImage,
} from "./save-image";

const HEADER: i32 = 512;
const HEADER_BYTES: i32 = 64;
/** Of the header: XSTATE_BV, XCOMP_BV. */
const XCOMP_BV: i32 = 520;
/** Of XCOMP_BV: the compacted form. */
const COMPACTED: u64 = 1 << 63;
/** With AVX state. */
const AREA_BYTES: i32 = 832;
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
  return save(va, operand64, false, false);
}

/** XSAVEOPT: components that are not in use are not written. */
export function xsaveopt(va: u64, operand64: i32): i32 {
  return save(va, operand64, true, false);
}

/** XSAVEC: the same in the compacted form. */
export function xsavec(va: u64, operand64: i32): i32 {
  return save(va, operand64, true, true);
}

function save(va: u64, operand64: i32, onlyUsed: bool, compacted: bool): i32 {
  const status = checkX(va);
  if (status != STATUS_OK) return status;
  const wanted = requestedComponents();
  const used = wanted & componentsInUse();
  const written = onlyUsed ? used : wanted;
  const keysAt = compacted ? keysOffset(wanted) : AREA_BYTES;
  const bytes = wanted & XCR0_PKRU ? keysAt + 8 : wanted & XCR0_AVX ? AREA_BYTES : HEADER + HEADER_BYTES;
  if (!prepareWrite(va, bytes)) return STATUS_FAULT;
  if (written & XCR0_X87) {
    imageFromX87(operand64 != 0);
    copyOut(va, 0, X87_POINTERS_BYTES);
    copyOut(va, X87_REGISTERS, IMAGE_XMM);
  }
  // The standard form has MXCSR with AVX state as well.
  if (written & XCR0_SSE || (!compacted && wanted & XCR0_AVX)) {
    imageFromMxcsr();
    copyOut(va, IMAGE_MXCSR, X87_REGISTERS);
  }
  if (written & XCR0_SSE) {
    imageFromXmm(xmmCount());
    copyOut(va, IMAGE_XMM, xmmEnd());
  }
  if (written & XCR0_AVX) {
    imageFromYmm(xmmCount());
    copyOut(va, IMAGE_YMM, IMAGE_YMM + xmmCount() * 16);
  }
  if (written & XCR0_PKRU) writeLinear64(va + keysAt, <u64>load<u32>(CPU_STATE + PKRU));
  if (compacted) {
    writeLinear64(va + HEADER, used);
    writeLinear64(va + XCOMP_BV, COMPACTED | wanted);
    return STATUS_OK;
  }
  const present = readLinear64(va + HEADER);
  if (faulted()) return STATUS_FAULT;
  writeLinear64(va + HEADER, (present & ~wanted) | used);
  return STATUS_OK;
}

/** XINUSE, of XGETBV with ECX = 1 as well. */
export function componentsInUse(): u64 {
  return XCR0_X87 | XCR0_SSE | (usesYmm() ? XCR0_AVX : 0) | (load<i32>(CPU_STATE + PKRU) ? XCR0_PKRU : 0);
}

/** XRSTOR of the components in EDX:EAX AND XCR0; those that XSTATE_BV lacks are initialised. */
export function xrstor(va: u64, operand64: i32): i32 {
  const status = checkX(va);
  if (status != STATUS_OK) return status;
  const wanted = requestedComponents();
  if (!copyIn(va, HEADER + HEADER_BYTES)) return STATUS_FAULT;
  const present = load<u64>(IMAGE + HEADER);
  const format = load<u64>(IMAGE + XCOMP_BV);
  const compacted = (format & COMPACTED) != 0;
  if (!isHeaderValid(present, format)) return raiseGP(0);
  const readsMxcsr = compacted ? wanted & present & XCR0_SSE : wanted & (XCR0_SSE | XCR0_AVX);
  if (readsMxcsr && load<u32>(IMAGE + IMAGE_MXCSR) & MXCSR_RESERVED) return raiseGP(0);
  const restored = wanted & present;
  if (restored & XCR0_AVX && !copyPart(va, IMAGE_YMM, AREA_BYTES)) return STATUS_FAULT;
  let keys: u32 = 0;
  if (restored & XCR0_PKRU) {
    keys = <u32>readLinear64(va + (compacted ? keysOffset(format) : AREA_BYTES));
    if (faulted()) return STATUS_FAULT;
  }

  if (wanted & XCR0_X87) {
    if (restored & XCR0_X87) x87FromImage(operand64 != 0);
    else initialiseX87();
  }
  // In the standard form MXCSR comes from memory even where XSTATE_BV says that the registers are initial.
  if (readsMxcsr) mxcsrFromImage();
  else if (wanted & XCR0_SSE) initialiseMxcsr();
  if (wanted & XCR0_SSE) {
    if (restored & XCR0_SSE) xmmFromImage(xmmCount());
    else initialiseXmm(xmmCount());
  }
  if (wanted & XCR0_AVX) {
    if (restored & XCR0_AVX) ymmFromImage(xmmCount());
    else initialiseYmm(xmmCount());
  }
  return wanted & XCR0_PKRU && setProtectionKeys(keys) ? STATUS_JUMP : STATUS_OK;
}

/** Where PKRU lies in the compacted form with some components. */
function keysOffset(components: u64): i32 {
  return components & XCR0_AVX ? AREA_BYTES : HEADER + HEADER_BYTES;
}

/** What XSTATE_BV, XCOMP_BV and the rest of the header, which is in the image, may be. */
function isHeaderValid(present: u64, format: u64): bool {
  const enabled = load<u64>(CPU_STATE + XCR0);
  if (!(format & COMPACTED)) {
    return !(present & ~enabled) && format == 0 && load<u64>(IMAGE + XCOMP_BV + 8) == 0;
  }
  const components = format & ~COMPACTED;
  if (!offersCompaction() || components & ~enabled || present & ~components) return false;
  for (let at = XCOMP_BV + 8; at < HEADER + HEADER_BYTES; at += 8) if (load<u64>(IMAGE + <usize>at)) return false;
  return true;
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
  const host = knownHost(currentBank() + TLB_WRITE, va + first, end - first);
  if (host) {
    copyWords(host, IMAGE + <usize>first, end - first);
    return;
  }
  for (let at = first; at < end; at += 8) writeLinear64(va + at, load<u64>(IMAGE + <usize>at));
}

/** Reads the start of the area into the image. Returns false with the fault set. */
function copyIn(va: u64, bytes: i32): bool {
  return copyPart(va, 0, bytes);
}

function copyPart(va: u64, first: i32, end: i32): bool {
  const host = knownHost(currentBank(), va + first, end - first);
  if (host) {
    copyWords(IMAGE + <usize>first, host, end - first);
    return true;
  }
  for (let at = first; at < end; at += 8) {
    const value = readLinear64(va + at);
    if (faulted()) return false;
    store<u64>(IMAGE + <usize>at, value);
  }
  return true;
}

/** Not `memory.copy`, which V8 calls a function of its own for. */
// @ts-ignore: decorator
@inline
function copyWords(target: usize, source: usize, bytes: i32): void {
  for (let at: usize = 0; at < <usize>bytes; at += 8) store<u64>(target + at, load<u64>(source + at));
}
