import type { ProcessorSurroundings } from "../cpu/processor.ts";
import { faultName } from "../isa/faults.ts";
import type { ProcessorParts } from "../machine/create-processor.ts";
import type { TraceSubject } from "./options.ts";

type Report = (line: string) => void;

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** Wraps the surroundings so that port and device accesses are reported, where asked for. */
export function traceAccesses(
  surroundings: ProcessorSurroundings,
  subjects: readonly TraceSubject[],
  report: Report,
): ProcessorSurroundings {
  const ports = subjects.includes("ports");
  const devices = subjects.includes("devices");
  if (!ports && !devices) return surroundings;
  const traced = { ...surroundings };
  if (ports) {
    traced.readPort = (port, bytes) => {
      const value = surroundings.readPort(port, bytes);
      report(`in${8 * bytes} ${hex(port)} -> ${hex(value)}`);
      return value;
    };
    traced.writePort = (port, bytes, value) => {
      report(`out${8 * bytes} ${hex(port)} <- ${hex(value)}`);
      surroundings.writePort(port, bytes, value);
    };
  }
  if (devices) {
    traced.readDevice = (address, bytes) => {
      const value = surroundings.readDevice(address, bytes);
      report(`read${8 * bytes} ${hex(address)} -> ${hex(value)}`);
      return value;
    };
    traced.writeDevice = (address, bytes, value) => {
      report(`write${8 * bytes} ${hex(address)} <- ${hex(value)}`);
      surroundings.writeDevice(address, bytes, value);
    };
  }
  return traced;
}

/** Reports faults and interrupts as they are delivered, where asked for. */
export function traceEvents(parts: ProcessorParts, subjects: readonly TraceSubject[], report: Report): void {
  const { processor } = parts;
  const { registers } = processor;
  const undefinedOnly = !subjects.includes("faults");
  if (subjects.includes("faults") || subjects.includes("undefined")) {
    processor.onFault = (vector, errorCode) => {
      if (undefinedOnly && vector !== 6) return;
      const code = errorCode < 0 ? "" : ` error code ${hex(errorCode)}`;
      const address = vector === 14 ? ` address ${hex(processor.faultAddress)}` : "";
      report(
        `${faultName(vector)}${code}${address} at ${hex(registers.get("cs"))}:${hex(registers.get("rip"))}`,
      );
    };
  }
  if (subjects.includes("interrupts")) {
    processor.onInterrupt = (vector) => report(`interrupt ${hex(vector)} at ${hex(registers.get("rip"))}`);
  }
}
