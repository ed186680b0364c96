/**
 * Functions of the interpreter through which regions of the translator lead
 * to other code; RIP and BUDGET in memory are exact. `caller` is what a
 * region was called with: a record when the interpreter's loop entered it, and a
 * smaller number, of the depth, when another region called it.
 */
export const REGION_FUNCTIONS = {
  /** `continueAt(caller)`: goes on at RIP, by the jump cache. */
  continueAt: { params: ["i32"], results: ["i32"] },
  /** The same after a RET. */
  returnTo: { params: ["i32"], results: ["i32"] },
  /** `continueBySlot(slot, caller)`: the same, and remembers in a link slot where it went. */
  continueBySlot: { params: ["i32", "i32"], results: ["i32"] },
  /** `onwardBySlot(slot, caller)`: the same where the guest's code goes on without a jump, so that the budget is not looked at. */
  onwardBySlot: { params: ["i32", "i32"], results: ["i32"] },
  /**
   * `continueRecord(record, caller)`: goes on at a record, 0 for nowhere, that an instruction has led to which changes the privilege
   * level or the stack. Callers that belong to mappings which have changed since are unwound.
   */
  continueRecord: { params: ["i32", "i32"], results: ["i32"] },
  /** `findRegion(slot) -> handler`: the region at RIP, which a link slot, unless it is 0, then leads to; or 0. */
  findRegion: { params: ["i32"], results: ["i32"] },
  /**
   * `hostAddress(linear, last, table, unused) -> ~host`: the complement, because V8 extends to 64 bits what it cannot see to be extended, in front
   * of each access and behind every path to it: where an access is that starts at most `last` bytes into its page, by the TLB's
   * table for reads (0) or writes (TLB_WRITE), which is filled where it misses, or what splitRead gives; -1 where the access has to be
   * the interpreter's. A region gives the tag it has found for `unused`: V8 would read a tag that is used only once twice.
   */
  hostAddress: { params: ["i64", "i32", "i32", "i64"], results: ["i32"] },
  /**
   * `splitRead(linear, bytes) -> host`: where bytes that go across the end of a page have been brought together, for the next
   * access only; 0 where the TLB does not have both pages, or they lie on one.
   */
  splitRead: { params: ["i64", "i32"], results: ["i32"] },
  /** `splitStore(linear, low, high) -> host`: has stored 16 bytes across the end of a page, and says where they may be stored once more; or 0. */
  splitStore: { params: ["i64", "i64", "i64"], results: ["i32"] },
} as const;

export type RegionFunction = keyof typeof REGION_FUNCTIONS;

/**
 * What a region returns to a region that called it when it has executed a RET: to EXPECTED_RETURN with some budget left, which RIP does not
 * say; or to anywhere, which RIP says. Anything else unwinds all callers, whose state is in memory.
 */
export const REGION_RETURNED = 1;
export const REGION_RETURNED_TO_RIP = 2;

/** For EXPECTED_RETURN: not canonical, so no RET goes there. */
export const RETURN_NOWHERE = 1n << 62n;

/**
 * What a region gives a region that it calls: RETURN_KILLS_FLAGS when the code it returns to sets all status flags before it or
 * anyone else may look at them, plus DEPTH_STEP for each region that has been called by another.
 */
export const RETURN_KILLS_FLAGS = 1;
export const DEPTH_STEP = 2;
