import { type ApicTimerState, resetTimerState } from "./apic-timer.ts";
import {
  APIC_BASE_BOOTSTRAP,
  APIC_BASE_ENABLED,
  LVT_ERROR,
  LVT_LINT0,
  LVT_LINT1,
  LVT_MASKED,
  LVT_PERFORMANCE,
  LVT_THERMAL,
  LVT_TIMER,
} from "./registers.ts";
import { emptyVectorSet, type VectorSet } from "./vector-set.ts";

/** Where the local APIC's page lies after reset. */
export const LOCAL_APIC_ADDRESS = 0xfee00000;

/** Everything a snapshot must carry. Plain data, so `structuredClone` suffices. */
export interface LocalApicState {
  /** APIC ID, fixed for the life of the machine. */
  id: number;
  /** IA32_APIC_BASE, of which only the low 32 address bits can be set. */
  apicBase: number;
  taskPriority: number;
  /** LDR as xAPIC mode has it; x2APIC mode derives its own. */
  logicalDestination: number;
  destinationFormat: number;
  spuriousVector: number;
  inService: VectorSet;
  /** Level-triggered vectors among those requested or in service. */
  triggerMode: VectorSet;
  requested: VectorSet;
  /** ESR as the guest reads it, and the errors since it was last written. */
  errorStatus: number;
  errorsSince: number;
  interruptCommandLow: number;
  interruptCommandHigh: number;
  /** LVT registers by their offset. */
  localVectors: Record<number, number>;
  timer: ApicTimerState;
  /** Levels of the LINT0 and LINT1 inputs. */
  lint0: boolean;
  lint1: boolean;
  /** An ExtINT message waits for an acknowledge cycle. */
  externalRequested: boolean;
}

export function resetState(id: number, bootstrap: boolean): LocalApicState {
  return {
    id,
    apicBase: (LOCAL_APIC_ADDRESS | APIC_BASE_ENABLED | (bootstrap ? APIC_BASE_BOOTSTRAP : 0)) >>> 0,
    ...resetRegisters(),
    lint0: false,
    lint1: false,
  };
}

/** The registers after power-up, INIT and leaving x2APIC mode (SDM Vol. 3A, "Local APIC State After Power-Up or Reset"). */
export function resetRegisters() {
  return {
    taskPriority: 0,
    logicalDestination: 0,
    destinationFormat: 0xffffffff,
    spuriousVector: 0xff,
    inService: emptyVectorSet(),
    triggerMode: emptyVectorSet(),
    requested: emptyVectorSet(),
    errorStatus: 0,
    errorsSince: 0,
    interruptCommandLow: 0,
    interruptCommandHigh: 0,
    localVectors: {
      [LVT_TIMER]: LVT_MASKED,
      [LVT_THERMAL]: LVT_MASKED,
      [LVT_PERFORMANCE]: LVT_MASKED,
      [LVT_LINT0]: LVT_MASKED,
      [LVT_LINT1]: LVT_MASKED,
      [LVT_ERROR]: LVT_MASKED,
    } as Record<number, number>,
    timer: resetTimerState(),
    externalRequested: false,
  };
}
