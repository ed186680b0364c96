// INVPCID. SDM 2 "INVPCID—Invalidate Process-Context Identifier"; SDM 3A "Process-Context Identifiers (PCIDs)".
//
// A load of CR3 forgets all translations but global ones, so those of other identifiers are never there.
import { CPU_STATE } from "../../layout/memory-map";
import { CR4, STATUS_OK } from "../../layout/cpu-state";
import { flushTlb, invalidatePage } from "../memory/tlb";
import { isCanonical } from "../memory/translate";
import { raiseGP } from "../processor/faults";
import { CR4_PCIDE } from "./control-bits";

const ONE_ADDRESS: u64 = 0;
const ONE_CONTEXT: u64 = 1;
const EVERYTHING: u64 = 2;
const ALL_CONTEXTS: u64 = 3;

/** The caller has checked CPL. `identifier` and `linear` are the descriptor's halves. */
export function invpcid(type: u64, identifier: u64, linear: u64): i32 {
  if (type > ALL_CONTEXTS || identifier >> 12) return raiseGP(0);
  if (type <= ONE_CONTEXT && identifier && !(load<u64>(CPU_STATE + CR4) & CR4_PCIDE)) return raiseGP(0);
  if (type == ONE_ADDRESS) {
    if (!isCanonical(linear)) return raiseGP(0);
    invalidatePage(linear);
  } else flushTlb(type == EVERYTHING ? 0 : 1);
  return STATUS_OK;
}
