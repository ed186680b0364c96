import { describe, expect, test } from "vitest";
import type { KnownRegion, NewlyCompiled, RegionCache } from "../../src/cpu/region-translator.ts";
import { INSTRUCTIONS } from "../../src/layout/cpu-state.ts";
import { LINK_SLOTS, REGION_CELLS } from "../../src/layout/memory-map.ts";
import { nasmAvailable } from "./assemble.ts";
import { Guest } from "./guest.ts";

const ROUNDS = 400_000;

/** Adds an address of the kernel to RBX each round. */
const loopWith = (address: string, rounds = ROUNDS): string => `
  mov ecx, ${rounds}
  xor ebx, ebx
again:
  mov rax, ${address}
  add rbx, rax
  call twice
  dec ecx
  jnz again
  hlt
twice:
  lea rsi, [rsi*2+${address}]
  ret`;

class MemoryRegion implements KnownRegion {
  readonly bytes: Uint8Array;
  compiled: KnownRegion["compiled"];

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get mayBeCompiled(): boolean {
    return this.compiled !== undefined;
  }

  read(): Uint8Array {
    return this.bytes;
  }
}

class MemoryCache implements RegionCache {
  readonly regions = new Map<number, MemoryRegion[]>();
  readonly keepsCode = true;
  freePlaces = { slots: LINK_SLOTS, cells: REGION_CELLS };

  find(key: number): Iterable<KnownRegion> {
    return this.regions.get(key) ?? [];
  }

  add(key: number, bytes: Uint8Array<ArrayBuffer>): KnownRegion {
    const region = new MemoryRegion(bytes);
    this.regions.set(key, [region, ...(this.regions.get(key) ?? [])]);
    return region;
  }

  addCompiled(_bytes: Uint8Array, module: WebAssembly.Module, regions: readonly NewlyCompiled[]) {
    const compiled = { load: () => module, release: () => {} };
    for (const [index, { region, slots, cells, slotBytes, cellBytes }] of regions.entries()) {
      if (region instanceof MemoryRegion) region.compiled ??= { module: compiled, index, slots, cells };
      this.freePlaces = { slots: slots + slotBytes, cells: cells + cellBytes };
    }
    return compiled;
  }

  forgetCompiled(): void {}

  /** Time stands still: nothing is built that is only warm. */
  nowMs(): number {
    return 0;
  }
}

/** Runs a program to its HLT; what is in RBX and RSI then, and of the translator's statistics. */
function run(
  program: string,
  cache: RegionCache,
  { learns = false, instructionsBefore = 0n } = {},
): { rbx: bigint; rsi: bigint; made: unknown; cached: unknown; compiledBefore: unknown } {
  const openRegionCache = () => cache;
  const guest = new Guest("auto", { codeVersion: "a version", openRegionCache, learns })
    .restart()
    .program(program);
  guest.parts.state.set64(INSTRUCTIONS, instructionsBefore);
  expect(guest.run(2_000)).toBe("halt");
  const counts = guest.parts.engine.statistics as unknown as Record<string, number>;
  const { regionsMade: made, regionsFromCache: cached, regionsCompiledBefore: compiledBefore } = counts;
  return { rbx: guest.get("rbx"), rsi: guest.get("rsi"), made, cached, compiledBefore };
}

describe.skipIf(!nasmAvailable)("a cache of regions", () => {
  test("gives the same code of another run, with the addresses of a kernel that lies elsewhere", () => {
    const cache = new MemoryCache();
    const first = run(loopWith("0xffffffff81234560"), cache);
    expect(first).toMatchObject({ made: 2, cached: 0 });
    const same = run(loopWith("0xffffffff81234560"), cache);
    // What is compiled is taken sooner: the loop before what its call returns to.
    const taken = { made: 1, cached: 1, compiledBefore: 1 };
    expect(same).toEqual({ ...first, ...taken });
    const moved = run(loopWith("0xffffffff9a034560"), cache);
    const plain = run(loopWith("0xffffffff9a034560"), new MemoryCache());
    expect(moved).toEqual({ ...plain, ...taken });
    expect(moved.rbx).toBe(BigInt.asUintN(64, BigInt(ROUNDS) * 0xffff_ffff_9a03_4560n));
  });

  test("learns on demand what runs some thousand times", () => {
    const program = loopWith("0xffffffff81234560", 60_000);
    const cache = new MemoryCache();
    const plain = run(program, cache);
    expect(plain.made).toBe(0);
    const learning = run(program, cache, { learns: true });
    expect(learning).toMatchObject({ made: 2, rbx: plain.rbx, rsi: plain.rsi });
    const later = run(program, cache);
    expect(later).toEqual({ ...plain, made: 1, cached: 1, compiledBefore: 1 });
  });

  test("a run that has lasted for long gains sooner from what is compiled", () => {
    const program = loopWith("0xffffffff81234560", 60_000);
    const instructionsBefore = 3_000_000_000n;
    expect(run(program, new MemoryCache()).made).toBe(0);
    expect(run(program, new MemoryCache(), { instructionsBefore }).made).toBe(2);
  });

  test("has nothing for code that differs in anything else", () => {
    const cache = new MemoryCache();
    run(loopWith("0xffffffff81234560"), cache);
    const other = run(loopWith("0xffffffff81234560").replace("rsi*2", "rsi*4"), cache);
    expect(other).toMatchObject({ cached: 0 });
  });

  test("compares what is an address to one instruction and code to another", () => {
    // For odd counts MOV RAX, imm32; for even ones, a byte before, MOV EAX, imm32, and INC EBX or INC ESI and a NOP of the immediate's rest.
    const overlapping = (increment: string): string => `
      mov ecx, ${4 * ROUNDS}
      xor ebx, ebx
      xor esi, esi
    again:
      test cl, 1
      jnz whole
      db 0xb8
    whole:
      db 0x48, 0xc7, 0xc0, 0x48, 0xff, ${increment}, 0x90
      dec ecx
      jnz again
      hlt`;
    const cache = new MemoryCache();
    expect(run(overlapping("0xc3"), cache)).toMatchObject({ rbx: BigInt(2 * ROUNDS), rsi: 0n, made: 1 });
    expect(run(overlapping("0xc6"), cache)).toMatchObject({ rbx: 0n, rsi: BigInt(2 * ROUNDS), cached: 0 });
  });

  test("does without a region that is damaged in a way that no sum of bytes shows", () => {
    const cache = new MemoryCache();
    const first = run(loopWith("0xffffffff81234560"), cache);
    for (const regions of cache.regions.values()) for (const { bytes } of regions) bytes[0]! ^= 8;
    expect(run(loopWith("0xffffffff81234560"), cache)).toMatchObject({ ...first, cached: 0 });
  });
});
