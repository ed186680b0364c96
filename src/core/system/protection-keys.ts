// RDPKRU and WRPKRU. SDM 2 under the instructions' names; SDM 3A "Protection Keys". What keys deny is in memory/page-walk.
import { CPU_STATE } from "../../layout/memory-map";
import { CR4, PKRU, RAX, RCX, RDX, STATUS_JUMP, STATUS_OK } from "../../layout/cpu-state";
import { flushTlb } from "../memory/tlb";
import { raiseGP, raiseUD } from "../processor/faults";
import { CR4_PKE } from "./control-bits";

export function rdpkru(): i32 {
  if (!(load<u64>(CPU_STATE + CR4) & CR4_PKE)) return raiseUD();
  if (load<u32>(CPU_STATE + RCX) != 0) return raiseGP(0);
  store<u64>(CPU_STATE + RAX, <u64>load<u32>(CPU_STATE + PKRU));
  store<u64>(CPU_STATE + RDX, 0);
  return STATUS_OK;
}

export function wrpkru(): i32 {
  if (!(load<u64>(CPU_STATE + CR4) & CR4_PKE)) return raiseUD();
  if (load<u32>(CPU_STATE + RCX) != 0 || load<u32>(CPU_STATE + RDX) != 0) return raiseGP(0);
  return setProtectionKeys(load<u32>(CPU_STATE + RAX)) ? STATUS_JUMP : STATUS_OK;
}

/** Sets PKRU. True where rights have changed: what TLBs hold is by the old ones. */
export function setProtectionKeys(value: u32): bool {
  if (load<u32>(CPU_STATE + PKRU) == value) return false;
  store<u32>(CPU_STATE + PKRU, value);
  if (!(load<u64>(CPU_STATE + CR4) & CR4_PKE)) return false;
  flushTlb(0);
  return true;
}
