// I/O ports and who may touch them. SDM 1 "I/O Permission Bit Map", "I/O Privilege Level".
import { CPU_STATE } from "../../layout/memory-map";
import {
  COUNT_DEVICE_ACCESS,
  CPL,
  CR0,
  RFLAGS_SYSTEM,
  SEG_TR,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  STATUS_FAULT,
  STATUS_OK,
} from "../../layout/cpu-state";
import { portRead, portWrite } from "../host";
import { readSystem16 } from "../memory/linear-memory";
import { watchPorts } from "../processor/breakpoints";
import { faulted, raiseGP } from "../processor/faults";
import { CR0_PE, RFLAGS_IOPL_SHIFT, RFLAGS_VM } from "./control-bits";

/** Offset of the I/O map base in a TSS of 32 or 64 bits. */
const TSS_IO_MAP_BASE: u64 = 102;
// Types of a TSS descriptor that has an I/O map.
const TSS_AVAILABLE: u32 = 9;
const TSS_BUSY: u32 = 11;

/** Whether the running code may access these ports. STATUS_OK, or STATUS_FAULT with #GP(0), a fault of reading the TSS, or a breakpoint. */
export function checkPort(port: i32, bytes: i32): i32 {
  const status = checkRight(port, bytes);
  return status == STATUS_OK ? watchPorts(port, bytes) : status;
}

function checkRight(port: i32, bytes: i32): i32 {
  if (!(load<u64>(CPU_STATE + CR0) & CR0_PE)) return STATUS_OK;
  const flags = load<u64>(CPU_STATE + RFLAGS_SYSTEM);
  const iopl = <i32>(flags >> RFLAGS_IOPL_SHIFT) & 3;
  // Virtual-8086 mode looks at the map whatever IOPL says.
  if (!(flags & RFLAGS_VM) && load<i32>(CPU_STATE + CPL) <= iopl) return STATUS_OK;

  const type = load<u32>(CPU_STATE + SEG_TR + SEGMENT_ATTRIBUTES) & 15;
  if (type != TSS_AVAILABLE && type != TSS_BUSY) return raiseGP(0);
  const base = load<u64>(CPU_STATE + SEG_TR + SEGMENT_BASE);
  const limit: u64 = load<u32>(CPU_STATE + SEG_TR + SEGMENT_LIMIT);
  if (TSS_IO_MAP_BASE + 1 > limit) return raiseGP(0);
  const mapBase = readSystem16(base + TSS_IO_MAP_BASE);
  if (faulted()) return STATUS_FAULT;
  // The processor always reads two bytes of the map, so that an access may cross a byte of it.
  const at = mapBase + <u64>(port >> 3);
  if (at + 1 > limit) return raiseGP(0);
  const bits = readSystem16(base + at);
  if (faulted()) return STATUS_FAULT;
  const wanted: u64 = (1 << bytes) - 1;
  return (bits >> <u64>(port & 7)) & wanted ? raiseGP(0) : STATUS_OK;
}

/** Reads a port after checkPort; zero-extended. */
export function portIn(port: i32, bytes: i32): i32 {
  countDeviceAccess();
  return portRead(port & 0xffff, bytes);
}

/** Writes a port after checkPort. */
export function portOut(port: i32, bytes: i32, value: i32): void {
  countDeviceAccess();
  portWrite(port & 0xffff, bytes, value);
}

function countDeviceAccess(): void {
  store<i64>(CPU_STATE + COUNT_DEVICE_ACCESS, load<i64>(CPU_STATE + COUNT_DEVICE_ACCESS) + 1);
}
