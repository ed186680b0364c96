import { expect, test } from "vitest";
import { type GuestMode, HostileRig, privilegedCode, RAM_BYTES, randomCode } from "./random-guests.ts";

const GUESTS = 1000;
const INSTRUCTIONS = 3000;

/** Runs guests of one kind; a message of what was wrong names the seed. */
function runGuests(
  mode: GuestMode,
  codeOf: (seed: number) => Uint8Array,
  at?: number,
): Record<string, number> {
  const rig = new HostileRig();
  const ends: Record<string, number> = { halt: 0, shutdown: 0, budget: 0 };
  for (let seed = 1; seed <= GUESTS; seed++) {
    try {
      rig.storm = seed % 5 === 0 ? 32 + (seed % 200) : -1;
      rig.start(mode, codeOf(seed), at);
      const end = rig.drive(INSTRUCTIONS, [50, 1000, 7][seed % 3]!);
      ends[end]!++;
      expect(rig.ramSizeIntact()).toBe(true);
      if (seed % 50 === 0) expect(rig.guardIntact()).toBe(true);
    } catch (error) {
      throw new Error(`guest ${seed} in ${mode} mode: ${(error as Error).message}`, { cause: error });
    }
  }
  expect(rig.guardIntact()).toBe(true);
  return ends;
}

test.each(["long", "protected"] as const)(
  "1,000 guests of random bytes in %s mode each come back within their budget",
  (mode) => {
    const ends = runGuests(mode, randomCode);
    expect(ends["halt"]! + ends["shutdown"]! + ends["budget"]!).toBe(GUESTS);
  },
  300_000,
);

test.each(["long", "protected"] as const)(
  "1,000 guests that change modes, tables and stacks at random in %s mode",
  (mode) => {
    const ends = runGuests(mode, privilegedCode);
    expect(ends["halt"]! + ends["shutdown"]! + ends["budget"]!).toBe(GUESTS);
  },
  300_000,
);

test("random code that ends at the end of memory", () => {
  for (const mode of ["long", "protected"] as const) {
    const ends = runGuests(mode, (seed) => randomCode(seed, 64), RAM_BYTES - 40);
    expect(ends["halt"]! + ends["shutdown"]! + ends["budget"]!).toBe(GUESTS);
  }
}, 300_000);

// The translator compiles a module for every block, so it gets fewer.
test.each([
  ["random bytes", randomCode],
  ["privileged instructions", privilegedCode],
] as const)(
  "60 guests of %s end with every block translated as they do interpreted",
  (_name, codeOf) => {
    const rigs = [new HostileRig("interpreter"), new HostileRig("translator")] as const;
    for (let seed = 1; seed <= 60; seed++) {
      const [interpreted, translated] = rigs.map((rig) => {
        rig.storm = seed % 5 === 0 ? 32 + (seed % 200) : -1;
        rig.start("long", codeOf(seed));
        const end = rig.drive(INSTRUCTIONS, [50, 1000, 7][seed % 3]!);
        const { registers, instructions } = rig.parts.processor;
        const values = ["rax", "rcx", "rsp", "rdi", "rip", "rflags", "cr2"].map((name) =>
          registers.get(name),
        );
        return { seed, end, instructions, values, deviceAccesses: rig.deviceAccesses };
      });
      expect(translated).toEqual(interpreted);
    }
    expect(rigs[1].guardIntact()).toBe(true);
  },
  300_000,
);
