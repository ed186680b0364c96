// Fast paths against a model that goes element by element.
import fc from "fast-check";
import { expect, test } from "vitest";
import { FLAG_R, RAX, RCX, RDI, RFLAGS_SYSTEM, RSI, STATUS_OK } from "../../../src/layout/cpu-state.ts";
import { startCore } from "../system/core-fixture.ts";

const REGION = 0x8000;
const DS = 3;

interface Operation {
  bytes: number;
  /** 1 REP or REPE, 2 REPNE. */
  repeat: number;
  backward: boolean;
  rsi: number;
  rdi: number;
  count: number;
  accumulator: bigint;
}

interface Outcome {
  rsi: bigint;
  rdi: bigint;
  rcx: bigint;
  rax: bigint;
  difference: bigint | undefined;
}

type Model = (ram: Uint8Array, operation: Operation) => Outcome;

const element = (ram: Uint8Array, at: number, bytes: number): bigint => {
  let value = 0n;
  for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(ram[at + i]!);
  return value;
};

const putElement = (ram: Uint8Array, at: number, bytes: number, value: bigint): void => {
  for (let i = 0; i < bytes; i++) ram[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
};

const mergeAccumulator = (rax: bigint, value: bigint, bytes: number): bigint =>
  bytes >= 4 ? value : ((rax >> BigInt(bytes * 8)) << BigInt(bytes * 8)) | value;

/** Builds a model from what one iteration does; it returns the difference of a comparison. */
function model(
  movesSource: boolean,
  movesTarget: boolean,
  iterate: (ram: Uint8Array, rsi: number, rdi: number, o: Operation, outcome: Outcome) => bigint | undefined,
): Model {
  return (ram, o) => {
    const step = o.backward ? -o.bytes : o.bytes;
    let [rsi, rdi, left] = [o.rsi, o.rdi, o.count];
    const outcome: Outcome = { rsi: 0n, rdi: 0n, rcx: 0n, rax: o.accumulator, difference: undefined };
    while (left > 0) {
      outcome.difference = iterate(ram, rsi, rdi, o, outcome);
      if (movesSource) rsi += step;
      if (movesTarget) rdi += step;
      left--;
      if (outcome.difference !== undefined && (outcome.difference === 0n) !== (o.repeat === 1)) break;
    }
    const wide = (value: number): bigint => BigInt.asUintN(64, BigInt(value));
    return { ...outcome, rsi: wide(rsi), rdi: wide(rdi), rcx: wide(left) };
  };
}

const extended = (value: bigint, bytes: number): bigint =>
  BigInt.asUintN(64, BigInt.asIntN(bytes * 8, value));
const low = (value: bigint, bytes: number): bigint => BigInt.asUintN(bytes * 8, value);

const MODELS: Record<string, Model> = {
  stringMovs: model(true, true, (ram, rsi, rdi, o) => {
    putElement(ram, rdi, o.bytes, element(ram, rsi, o.bytes));
    return undefined;
  }),
  stringStos: model(false, true, (ram, _, rdi, o) => {
    putElement(ram, rdi, o.bytes, o.accumulator);
    return undefined;
  }),
  stringLods: model(true, false, (ram, rsi, _, o, outcome) => {
    outcome.rax = mergeAccumulator(outcome.rax, element(ram, rsi, o.bytes), o.bytes);
    return undefined;
  }),
  stringScas: model(false, true, (ram, _, rdi, o) =>
    extended(low(o.accumulator, o.bytes) - element(ram, rdi, o.bytes), o.bytes),
  ),
  stringCmps: model(true, true, (ram, rsi, rdi, o) =>
    extended(element(ram, rsi, o.bytes) - element(ram, rdi, o.bytes), o.bytes),
  ),
};

// Addresses keep 0x1400 bytes of room on both sides of the region's middle pages; overlaps are made likely.
const operation = fc
  .record({
    bytes: fc.constantFrom(1, 2, 4, 8),
    repeat: fc.constantFrom(1, 2),
    backward: fc.boolean(),
    rsi: fc.integer({ min: 0x2800, max: 0x5800 }),
    distance: fc.oneof(fc.integer({ min: -40, max: 40 }), fc.integer({ min: -0x1400, max: 0x1400 })),
    count: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 600 })),
    accumulator: fc.constantFrom(0n, 0x0101_0101_0101_0101n, 0x8877_6655_4433_2211n),
  })
  .map(({ distance, ...rest }): Operation => ({ ...rest, rdi: rest.rsi + distance }));

/** Mostly runs of one value, so that comparisons go on for a while. */
const contents = fc.tuple(
  fc.constantFrom(0, 1),
  fc.array(fc.tuple(fc.nat(REGION - 1), fc.nat(255)), { maxLength: 6 }),
);

const core = startCore();
core.enter64Bit();

test.each(Object.entries(MODELS))("%s agrees with the model", (name, expectedOf) => {
  fc.assert(
    fc.property(operation, contents, (o, [fill, spots]) => {
      const expectedRam = new Uint8Array(REGION).fill(fill);
      for (const [at, value] of spots) expectedRam[at] = value;
      // Bytes that differ, for what is copied.
      if (name === "stringMovs") for (let i = 0; i < REGION; i++) expectedRam[i] = (i * 7 + (i >> 8)) & 255;
      core.ram.set(expectedRam);
      const expected = expectedOf(expectedRam, o);

      core.set64(RFLAGS_SYSTEM, o.backward ? 0x402n : 2n);
      core.set64(RAX, o.accumulator);
      core.set64(RSI, BigInt(o.rsi));
      core.set64(RDI, BigInt(o.rdi));
      core.set64(RCX, BigInt(o.count));
      core.set64(FLAG_R, 0x1234n);
      const repeat = name === "stringScas" || name === "stringCmps" ? o.repeat : 1;
      expect(core.call(name, o.bytes * 8, repeat, 64, DS)).toBe(STATUS_OK);
      expect({
        rsi: core.get64(RSI),
        rdi: core.get64(RDI),
        rcx: core.get64(RCX),
        rax: core.get64(RAX),
      }).toEqual({
        rsi: expected.rsi,
        rdi: expected.rdi,
        rcx: expected.rcx,
        rax: expected.rax,
      });
      expect(core.get64(FLAG_R)).toBe(expected.difference ?? 0x1234n);
      expect(Buffer.compare(core.ram.subarray(0, REGION), expectedRam)).toBe(0);
    }),
    { numRuns: 3000 },
  );
});
