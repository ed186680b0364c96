import { describe, expect, test } from "vitest";
import { findAddresses } from "./cached-region.ts";
import type { RegionInstruction } from "./region-code.ts";
import { CELL_IMMEDIATE } from "./region-symbols.ts";

const ADDRESS = 0x81234560 | 0;
const BYTES = 16;

/** An instruction of 16 bytes; what addresses are found by is all that counts. */
const instructionAt = (position: number) => ({ position, next: position + BYTES }) as RegionInstruction;

/** Code of which each part is 16 bytes with the address at some offsets. */
function codeOf(parts: readonly (readonly number[])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(parts.length * BYTES));
  for (const [i, offsets] of parts.entries())
    for (const offset of offsets) view.setInt32(i * BYTES + offset, ADDRESS, true);
  return new Uint8Array(view.buffer);
}

describe("addresses in the code of a region", () => {
  const [entry, between, body] = [0, 16, 32].map(instructionAt) as [
    RegionInstruction,
    RegionInstruction,
    RegionInstruction,
  ];
  // The last stands in the place of two calls.
  const spans = [entry, body, between, body].flatMap(({ position, next }) => [position, next]);
  const instructions = [entry, body, between, body];
  const inBody = [{ instruction: body, kind: CELL_IMMEDIATE, value: ADDRESS } as const];

  test("are found in each copy of an instruction", () => {
    const { inCode, positions } = findAddresses(codeOf([[], [4], [], [4]]), spans, instructions, inBody);
    expect(inCode).toEqual([BYTES + 4, 3 * BYTES + 4]);
    expect([...positions]).toEqual([body.position]);
  });

  test("are not taken from another instruction where one has the same twice", () => {
    const { inCode, positions } = findAddresses(
      codeOf([[], [4, 8], [4], [4, 8]]),
      spans,
      instructions,
      inBody,
    );
    expect(inCode).toEqual([]);
    expect([...positions]).toEqual([]);
  });
});
