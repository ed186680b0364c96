import { describe, expect, test } from "vitest";
import { RSP, STATUS_FAULT } from "../../../src/layout/cpu-state.ts";
import { mapPage } from "../memory/long-mode-paging.ts";
import { enterUser, longModeSystem } from "./long-mode-system.ts";

type Return = "retf" | "iret";

// Observed on an AMD EPYC (family 25) in 64-bit user code with frames of zeroes, whose null CS is one of an inner level:
// where the frame began and where the fault was, in bytes behind the edge between the two pages.
const NEXT_PAGE_ABSENT: readonly (readonly [Return, number, string])[] = [
  ["retf", 32, "0:4 -2:2 -4:0 -6:0 -10:2 -12:0 -14:0"],
  ["retf", 64, "0:8 -6:2 -8:0 -16:8 -22:2 -24:0 -30:0"],
  ["iret", 16, "0:4 -4:0 -6:2 -8:0"],
  ["iret", 32, "0:8 -6:2 -8:0 -12:4 -14:2 -16:0"],
  ["iret", 64, "0:16 -8:8 -16:0 -24:8 -30:2 -32:0 -38:0"],
];
const FIRST_PAGE_ABSENT: typeof NEXT_PAGE_ABSENT = [
  ["retf", 32, "-2:-2 -4:-4 -6:-2 -8:-4 -10:-6"],
  ["retf", 64, "-8:-8 -10:-2 -16:-8 -18:-10"],
  ["iret", 32, "-4:-4 -6:-2 -8:-4 -10:-2 -12:-4"],
  ["iret", 64, "-8:-8 -10:-2 -16:-8 -18:-2 -24:-8"],
];

const EDGE = 0x15000;
const EDGE_PAGE = EDGE >> 12;

/** Does here what is said of the real processor, and says it in the same way. */
function observe(instruction: Return, bits: number, observations: string, absentPage: number): string {
  const starts = observations.split(" ").map((observation) => Number.parseInt(observation, 10));
  return starts.map((start) => `${start}:${faultOf(instruction, bits, start, absentPage)}`).join(" ");
}

/** Where the page fault is, in bytes behind the edge. */
function faultOf(instruction: Return, bits: number, start: number, absentPage: number): number {
  const machine = longModeSystem();
  enterUser(machine);
  mapPage(machine, absentPage, 0, 0n);
  machine.set64(RSP, BigInt(EDGE + start));
  const { core } = machine;
  expect(instruction === "retf" ? core.farReturn(bits, 0) : core.interruptReturn(bits)).toBe(STATUS_FAULT);
  const [fault, address] = machine.takeFault().split(" at ");
  expect(fault).toBe("14(4)");
  return Number.parseInt(address!, 16) - EDGE;
}

describe("what is read first of a frame that lies on two pages", () => {
  test.each(NEXT_PAGE_ABSENT)("%s of %i bits, the next page absent", (instruction, bits, observations) => {
    expect(observe(instruction, bits, observations, EDGE_PAGE)).toBe(observations);
  });

  test.each(FIRST_PAGE_ABSENT)("%s of %i bits, the first page absent", (instruction, bits, observations) => {
    expect(observe(instruction, bits, observations, EDGE_PAGE - 1)).toBe(observations);
  });
});
