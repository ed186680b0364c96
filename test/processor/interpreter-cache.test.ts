import { describe, expect, test } from "vitest";
import type { RestoredCode } from "../../src/cpu/saved-code.ts";
import type { InterpreterCache, SavedHandlers } from "../../src/interpret/interpreter-cache.ts";
import type { ProcessorRequest } from "../../src/machine/create-processor.ts";
import { nasmAvailable } from "./assemble.ts";
import { Guest } from "./guest.ts";

/** Handlers that are not in the interpreter's loop; each leaves something in RAX. */
const BITS = `
  mov rbx, 0x123456789abcdef
  mov ecx, 9
  bsf rax, rbx
  add rax, rbx
  bts rax, rcx
  btr rax, rbx
  btc rax, rcx
  rcl rax, cl
  rcr eax, cl
  shld rax, rbx, 5
  shrd rax, rbx, cl
  bswap rax
  xadd rax, rbx
  popcnt rdx, rax
  add rax, rdx
  pext rdx, rax, rbx
  add rax, rdx
  pdep rdx, rax, rbx
  add rax, rdx
  andn rdx, rax, rbx
  add rax, rdx
  rorx rdx, rax, 7
  add rax, rdx
  hlt`;
const VECTORS = `
  mov rbx, 0x123456789abcdef
  mov rax, cr4
  or eax, 0x600
  mov cr4, rax
  movq xmm0, rbx
  movddup xmm1, xmm0
  paddb xmm1, xmm0
  psubw xmm1, xmm0
  pmullw xmm1, xmm0
  pmaddwd xmm1, xmm0
  paddsw xmm1, xmm0
  psadbw xmm0, xmm1
  pshufd xmm1, xmm1, 0x1b
  punpcklbw xmm1, xmm0
  packsswb xmm1, xmm0
  pavgb xmm1, xmm0
  pminub xmm1, xmm0
  pmaxsw xmm1, xmm0
  psllw xmm1, 3
  psraw xmm1, 1
  pxor xmm1, xmm0
  pcmpgtb xmm0, xmm1
  paddq xmm1, xmm0
  pmulhw xmm1, xmm0
  pmuludq xmm1, xmm0
  pabsb xmm1, xmm1
  phaddw xmm1, xmm0
  pshufb xmm1, xmm0
  palignr xmm1, xmm0, 3
  psubusb xmm1, xmm0
  paddusw xmm1, xmm0
  movq rax, xmm1
  hlt`;

class MemoryCache implements InterpreterCache {
  readonly stored = new Map<string, SavedHandlers>();
  compiled: Uint8Array[] = [];
  #saves: (() => SavedHandlers | undefined)[] = [];

  compile(wireBytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
    this.compiled.push(wireBytes);
    return new WebAssembly.Module(wireBytes);
  }

  handlers(key: string): SavedHandlers | undefined {
    return this.stored.get(key);
  }

  saveAtEnd(save: () => SavedHandlers | undefined): void {
    this.#saves.push(save);
  }

  endRun(): void {
    for (const save of this.#saves) {
      const saved = save();
      if (saved !== undefined) this.stored.set(saved.key, saved);
    }
    this.#saves = [];
    this.compiled = [];
  }
}

/** Runs a program to its HLT: RAX then, and how many modules of handlers were compiled. */
function run(program: string, cache?: MemoryCache, more: Partial<ProcessorRequest> = {}) {
  const parts = { codeVersion: "a version", interpreterCache: cache, ...more };
  const guest = new Guest("auto", parts).restart().program(program);
  expect(guest.run(20_000)).toBe("halt");
  const { handlerModules, handlerShapes } = guest.parts.engine.statistics;
  const result = { rax: guest.get("rax"), modules: handlerModules, shapes: handlerShapes };
  return { ...result, known: (cache?.compiled ?? []).map((bytes) => Buffer.from(bytes).toString("base64")) };
}

describe.skipIf(!nasmAvailable)("an interpreter with the handlers of earlier runs", () => {
  test("has them in the modules that those were saved in, and computes the same", () => {
    const cache = new MemoryCache();
    const first = run(BITS, cache);
    cache.endRun();
    const second = run(BITS, cache);
    cache.endRun();
    expect(second).toMatchObject({ rax: first.rax, modules: 1, shapes: first.shapes });

    const other = run(VECTORS, cache);
    cache.endRun();
    expect(other.rax).toBe(run(VECTORS).rax);
    const both = [run(BITS, cache), run(VECTORS, cache)];
    expect(both).toMatchObject([
      { rax: first.rax, modules: 2 },
      { rax: other.rax, modules: 2 },
    ]);
    // The loop and the first module are, byte for byte, those of the second run.
    expect(both[0]!.known.slice(0, 2)).toEqual(second.known);
  });

  test("makes one module of many, with the same handlers", () => {
    const cache = new MemoryCache();
    const first = run(BITS, cache);
    cache.endRun();
    const [saved] = cache.stored.values();
    const modules = [...saved!.handlerModules, ...Array(7).fill(saved!.handlerModules[0])];
    cache.stored.set(saved!.key, { ...saved!, handlerModules: modules });
    const other = run(VECTORS, cache);
    cache.endRun();
    expect(run(BITS, cache)).toMatchObject({ rax: first.rax, modules: 1 });
    expect(run(VECTORS, cache)).toMatchObject({ rax: other.rax, modules: 1 });
  });

  describe("and saved code", () => {
    const parts = (cache: MemoryCache) => ({
      codeVersion: "a version",
      deterministic: false,
      interpreterCache: cache,
    });

    /** What a machine has decoded and generated that ran a program. */
    function codeOf(program: string, cache: MemoryCache): RestoredCode {
      const guest = new Guest("auto", parts(cache)).restart().program(program);
      expect(guest.run(20_000)).toBe("halt");
      const saved = guest.parts.engine.saveCode()!;
      const bytes = [...saved.recentGroups, ...saved.groups];
      const groups = bytes.map((group) => ({ sizeBytes: group.length, unpack: () => group }));
      return { ...saved, groups, changedPages: new Set<number>() };
    }

    /** Goes on with it from the program's start; the modules of handlers that were compiled. */
    function restore(program: string, code: RestoredCode, cache: MemoryCache): readonly Uint8Array[] {
      cache.compiled = [];
      const guest = new Guest("auto", { ...parts(cache), code }).restart().program(program);
      guest.parts.engine.restoreCode();
      expect(guest.run(20_000)).toBe("halt");
      expect(guest.get("rax")).toBe(run(program).rax);
      expect(guest.parts.engine.statistics.decodedBlocks).toBe(0);
      return cache.compiled.slice(1);
    }

    test("takes the cache's modules where those have its handlers, or all but some", () => {
      const cache = new MemoryCache();
      run(BITS, cache);
      cache.endRun();
      const [{ handlerModules }] = cache.stored.values() as unknown as [SavedHandlers];
      const code = codeOf(BITS, cache);
      expect(restore(BITS, code, cache)).toEqual(handlerModules);
      const longer = `lahf\n bsr rdx, rax\n sahf\n ${BITS}`;
      expect(restore(longer, codeOf(longer, cache), cache)).toEqual(handlerModules);
      // The cache has learned more since.
      run(VECTORS, cache);
      cache.endRun();
      const [larger] = cache.stored.values();
      expect(larger!.handlerModules.length).toBe(2);
      expect(restore(BITS, code, cache)).toEqual(larger!.handlerModules);
    });

    test("takes its own where the cache has other handlers under these numbers, or too few", () => {
      const cache = new MemoryCache();
      run(BITS, cache);
      cache.endRun();
      const [saved] = cache.stored.values();
      const code = codeOf(`${BITS.replace("hlt", "")} ${VECTORS}`, cache);
      expect(restore(`${BITS.replace("hlt", "")} ${VECTORS}`, code, cache)).toEqual([code.handlerModule]);
      const same = codeOf(BITS, cache);
      const shapes = saved!.shapes.map((word, i) => (i === saved!.shapes.length - 1 ? word ^ 2 : word));
      cache.stored.set(saved!.key, { ...saved!, shapes });
      expect(restore(BITS, same, cache)).toEqual([same.handlerModule]);
    });
  });

  test("has none of another version, or of another processor", () => {
    const cache = new MemoryCache();
    const first = run(BITS, cache);
    cache.endRun();
    expect(run(BITS, cache, { codeVersion: "another" }).modules).toBe(first.modules);
    expect(run(BITS, cache, { hotCount: 500 }).modules).toBe(first.modules);
    expect(run(BITS, cache).modules).toBe(1);
  });

  test("does without them where they are not such as it saves", () => {
    const cache = new MemoryCache();
    const first = run(BITS, cache);
    cache.endRun();
    const [saved] = cache.stored.values();
    for (const damaged of [
      { ...saved!, nextHandler: 100_000 },
      { ...saved!, shapes: saved!.shapes.map((word, i) => (i === 8 ? -1 : word)) },
    ]) {
      cache.stored.set(saved!.key, damaged);
      expect(run(BITS, cache)).toMatchObject({ rax: first.rax, modules: first.modules });
    }
  });
});
