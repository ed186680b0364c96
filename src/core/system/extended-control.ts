// XGETBV, XSETBV: XCR0. SDM 2 "XGETBV—Get Value of Extended Control Register", "XSETBV—Set Extended Control Register".
import { CPU_STATE } from "../../layout/memory-map";
import { CPL, CR4, RAX, RCX, RDX, STATUS_OK, XCR0 } from "../../layout/cpu-state";
import { raiseGP, raiseUD } from "../processor/faults";
import { CR4_OSXSAVE } from "./control-bits";
import { offeredComponents, offersInUse, XCR0_AVX, XCR0_SSE, XCR0_X87 } from "./offered-states";
import { componentsInUse } from "./save-area";

/** XGETBV: EDX:EAX from the register that ECX names. */
export function xgetbv(): i32 {
  if (!(load<u64>(CPU_STATE + CR4) & CR4_OSXSAVE)) return raiseUD();
  const index = load<u32>(CPU_STATE + RCX);
  if (index > 1 || (index == 1 && !offersInUse())) return raiseGP(0);
  const enabled = load<u64>(CPU_STATE + XCR0);
  const value = index == 1 ? enabled & componentsInUse() : enabled;
  store<u64>(CPU_STATE + RAX, value & 0xffffffff);
  store<u64>(CPU_STATE + RDX, value >> 32);
  return STATUS_OK;
}

/** XSETBV: EDX:EAX to the register that ECX names. */
export function xsetbv(): i32 {
  if (!(load<u64>(CPU_STATE + CR4) & CR4_OSXSAVE)) return raiseUD();
  if (load<i32>(CPU_STATE + CPL) != 0 || load<u32>(CPU_STATE + RCX) != 0) return raiseGP(0);
  const value = <u64>load<u32>(CPU_STATE + RAX) | ((<u64>load<u32>(CPU_STATE + RDX)) << 32);
  if (!(value & XCR0_X87) || value & ~offeredComponents()) return raiseGP(0);
  // AVX state includes that of SSE.
  if (value & XCR0_AVX && !(value & XCR0_SSE)) return raiseGP(0);
  store<u64>(CPU_STATE + XCR0, value);
  return STATUS_OK;
}
