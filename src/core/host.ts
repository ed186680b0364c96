// What the core imports from TypeScript (module "host"). Values of 64 bits pass through HOST_VALUE.
import { SCRATCH } from "../layout/memory-map";

/** i64 at this address: value of msrRead and msrWrite. */
export const HOST_VALUE: usize = SCRATCH + 32;

// @ts-ignore: decorator
@external("host", "portRead")
export declare function portRead(port: i32, bytes: i32): i32;
// @ts-ignore: decorator
@external("host", "portWrite")
export declare function portWrite(port: i32, bytes: i32, value: i32): void;
/** Physical address below 4 GiB outside of RAM; 1, 2 or 4 bytes, zero-extended. */
// @ts-ignore: decorator
@external("host", "deviceRead")
export declare function deviceRead(address: u32, bytes: i32): i32;
// @ts-ignore: decorator
@external("host", "deviceWrite")
export declare function deviceWrite(address: u32, bytes: i32, value: i32): void;
/** Returns 1 with the value in HOST_VALUE, or 0 where the guest must get #GP. */
// @ts-ignore: decorator
@external("host", "msrRead")
export declare function msrRead(index: u32): i32;
/** Takes the value from HOST_VALUE. Returns 0 where the guest must get #GP. */
// @ts-ignore: decorator
@external("host", "msrWrite")
export declare function msrWrite(index: u32): i32;
// @ts-ignore: decorator
@external("host", "taskPriorityRead")
export declare function taskPriorityRead(): i32;
// @ts-ignore: decorator
@external("host", "taskPriorityWrite")
export declare function taskPriorityWrite(priority: i32): void;
// @ts-ignore: decorator
@external("host", "timeStampCounter")
export declare function timeStampCounter(): f64;
// @ts-ignore: decorator
@external("host", "random")
export declare function random(): i64;
/** Leaf in EAX and ECX of the state; writes EAX, EBX, ECX and EDX there. */
// @ts-ignore: decorator
@external("host", "cpuid")
export declare function cpuid(): void;
/** A page of RAM (guest physical address >> 12) is needed whose bit in ABSENT_PAGES is set; it is there afterwards. */
// @ts-ignore: decorator
@external("host", "pageNeeded")
export declare function pageNeeded(page: u32): void;
/** The guest wrote bytes first..last (page offsets) of a page (guest physical address >> 12) that holds decoded code. */
// @ts-ignore: decorator
@external("host", "codeWritten")
export declare function codeWritten(page: i32, first: i32, last: i32): void;
