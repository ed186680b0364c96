import type { ProcessorSurroundings } from "../cpu/processor.ts";
import { readApicMsr, writeApicMsr } from "../devices/local-apic/apic-msrs.ts";
import type { GuestMemory } from "../memory/guest-memory.ts";
import type { Board } from "./board.ts";

/** What of a machine its processor sees. */
export interface SurroundingParts {
  /** The board that there is now: a reset puts another in its place. */
  board(): Board;
  readonly memory: GuestMemory;
  nowNs(): number;
  random(): bigint;
}

/** Leads what the processor asks for to the machine around it. */
export function processorSurroundings({
  board,
  memory,
  nowNs,
  random,
}: SurroundingParts): ProcessorSurroundings {
  return {
    readPort: (port, bytes) => board().ports.read(port, bytes),
    writePort: (port, bytes, value) => board().ports.write(port, bytes, value),
    readDevice: (address, bytes) => board().readDevice(address, bytes),
    writeDevice: (address, bytes, value) => board().writeDevice(address, bytes, value),
    acknowledgeInterrupt: () => board().localApic.acknowledge(),
    raisePerformanceInterrupt: () => board().localApic.performanceEvent(),
    readMsr: (index) => readApicMsr(board().localApic, index),
    writeMsr: (index, value) => writeApicMsr(board().localApic, index, value),
    readTaskPriority: () => board().localApic.taskPriorityClass,
    writeTaskPriority: (priority) => {
      board().localApic.taskPriorityClass = priority;
    },
    pageNeeded: (page) => memory.bringIn(page),
    timeStampCounter: () => Math.floor(nowNs()),
    random,
  };
}
