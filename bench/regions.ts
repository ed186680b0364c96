/**
 * What it costs to make regions: those of a real run, built again from their code without the guest.
 *
 *     node bench/regions.ts record DIR FILE [HOT_COUNT]     DIR is what prepare.sh or prepare-fresh.sh made
 *     node bench/regions.ts build FILE [ROUNDS]
 *
 * "build" prints processor time in us for an instruction of the guest, this thread's (scanning and building, V8's compiling of the
 * module) and the other threads' (V8's), of each round. The first is what a short run pays: the builder itself is cold then.
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { instantiateCore } from "../src/cpu/core-instance.ts";
import { CPU_MODELS, extensionsOf } from "../src/cpu/cpu-model.ts";
import type { TranslatorHost } from "../src/cpu/region-translator.ts";
import { StateView } from "../src/cpu/state-view.ts";
import { formsWithin } from "../src/decode/form-table.ts";
import { EventLoop } from "../src/host/node/event-loop.ts";
import { hostTime } from "../src/host/node/host-time.ts";
import { Interpreter } from "../src/interpret/interpreter.ts";
import * as cpu from "../src/layout/cpu-state.ts";
import { CPU_STATE, GUEST_RAM, PAGE_BYTES, TLB_BANK_USER } from "../src/layout/memory-map.ts";
import { createProcessor } from "../src/machine/create-processor.ts";
import { Machine } from "../src/machine/machine.ts";
import { createMachineMemory } from "../src/machine/machine-memory.ts";
import { RegionScanner } from "../src/translate/region-scanner.ts";
import { Translator } from "../src/translate/translator.ts";

const CORE = path.resolve(import.meta.dirname, "../build/core.wasm");
const RAM_BYTES = 512 << 20;
const WASM_PAGE_BYTES = 65536;
/** Of a region. */
const MOST_PAGES = 4;

/** A region as it was scanned: from its code and this, the same is scanned again. */
interface RecordedRegion {
  readonly offset: number;
  readonly isUser: boolean;
  /** Of the pages: from that of the entry on, by their distance in pages; base64. */
  readonly pages: readonly (readonly [delta: number, bytes: string])[];
  readonly blocks: readonly number[];
  readonly indirectTargets: readonly number[];
}

const [command = "", ...args] = process.argv.slice(2);
if (command === "record") await record(args[0]!, args[1]!, Number(args[2] ?? 2000));
else if (command === "build") build(args[0]!, Number(args[1] ?? 4));
else throw new Error("usage: see the top of bench/regions.ts");
process.exit(0);

async function record(directory: string, file: string, hotCount: number): Promise<void> {
  const regions: RecordedRegion[] = [];
  const loop = new EventLoop();
  const machine = new Machine({
    ramBytes: RAM_BYTES,
    createProcessor: (surroundings, memory) => {
      const scan = RegionScanner.prototype.scan;
      RegionScanner.prototype.scan = function (place) {
        const found = scan.call(this, place);
        if (found === undefined) return found;
        const { code } = found;
        const start = (page: number): number => GUEST_RAM + page * PAGE_BYTES;
        const bytes = (page: number): string =>
          Buffer.from(memory.buffer, start(page), PAGE_BYTES).toString("base64");
        regions.push({
          offset: place.offset,
          isUser: new DataView(memory.buffer).getInt32(CPU_STATE + cpu.TLB_BASE, true) === TLB_BANK_USER,
          pages: code.pages.map(({ delta, page }) => [delta, bytes(page)]),
          blocks: [...code.blocks.keys()],
          indirectTargets: code.indirectTargets,
        });
        return found;
      };
      const coreModule = new WebAssembly.Module(readFileSync(CORE));
      const common = { coreModule, ramBytes: RAM_BYTES, deterministic: true, surroundings, memory };
      return createProcessor({ ...common, engine: "auto", hotCount }).processor;
    },
    host: {
      ...hostTime(loop),
      writeSerial: (bytes) => void process.stderr.write(bytes),
      serialCongested: () => false,
    },
    deterministic: true,
    noReboot: true,
    boot: {
      kernel: readFileSync(path.join(directory, "vmlinuz")),
      commandLine: "console=ttyS0 quiet panic=-1",
      modules: [{ bytes: readFileSync(path.join(directory, "initrd.gz")), commandLine: "" }],
    },
  });
  await machine.run();
  writeFileSync(file, JSON.stringify(regions));
  process.stderr.write(`${regions.length} regions\n`);
}

/** What a translator works on, of an interpreter that never runs. */
function createHost(memory: WebAssembly.Memory): TranslatorHost {
  const features = CPU_MODELS["default"]!;
  const state = new StateView(memory.buffer);
  const nothing = (): never => {
    throw new Error("nothing runs here");
  };
  const core = instantiateCore(new WebAssembly.Module(readFileSync(CORE)), {
    memory,
    state,
    surroundings: new Proxy({}, { get: () => nothing }) as never,
    cpuidContext: { apicId: 0, processors: 1, tscHz: 1e9, apicTimerHz: 1e9, features },
    codeWritten: () => {},
  });
  core.initialiseTlb();
  const pages = memory.buffer.byteLength / WASM_PAGE_BYTES;
  let host: TranslatorHost | undefined;
  new Interpreter({
    memory,
    pages: { initialPages: pages, maximumPages: pages, shared: true },
    meter: undefined,
    core,
    state,
    forms: formsWithin(extensionsOf(features)),
    heatMarks: [1000],
    createTranslator: (given) => {
      host = given;
      return new Translator(given);
    },
  });
  if (host === undefined) throw new Error("the interpreter has made no translator");
  return { ...host };
}

function build(file: string, rounds: number): void {
  const regions: RecordedRegion[] = JSON.parse(readFileSync(file, "utf8"));
  const decoded = regions.map(({ pages }) => pages.map(([, bytes]) => Buffer.from(bytes, "base64")));
  const memory = createMachineMemory(
    Math.ceil((regions.length * MOST_PAGES * PAGE_BYTES) / WASM_PAGE_BYTES) * WASM_PAGE_BYTES,
    true,
  );
  const ram = new Uint8Array(memory.buffer, GUEST_RAM);
  const view = new DataView(memory.buffer);
  view.setInt32(CPU_STATE + cpu.X87_FCW, 0x37f, true);
  for (const [i, pages] of decoded.entries())
    for (const [j, bytes] of pages.entries()) ram.set(bytes, (i * MOST_PAGES + j) * PAGE_BYTES);
  const host = createHost(memory);
  let current = 0;
  const translator = new Translator({
    ...host,
    pageAt: (delta) => {
      const found = regions[current]!.pages.findIndex(([d]) => d === delta);
      return found < 0 ? undefined : current * MOST_PAGES + found;
    },
    hasBeenReached: (page, offset) => {
      const { pages, blocks } = regions[current]!;
      return blocks.includes(pages[page - current * MOST_PAGES]![0] * PAGE_BYTES + offset);
    },
  });
  let before = translator.statistics;
  for (let round = 0; round < rounds; round++) {
    host.regions.flushAll();
    translator.allRegionsDropped();
    const [thread, all] = [process.threadCpuUsage(), process.cpuUsage()];
    for (current = 0; current < regions.length; current++) {
      const { isUser, offset, indirectTargets } = regions[current]!;
      view.setInt32(CPU_STATE + cpu.TLB_BASE, isUser ? TLB_BANK_USER : 0, true);
      translator.translate({ page: current * MOST_PAGES, offset, recentTargets: () => indirectTargets });
    }
    translator.compileWaiting();
    const [threadSpent, allSpent] = [process.threadCpuUsage(thread), process.cpuUsage(all)];
    const since = (name: string): number => translator.statistics[name]! - before[name]!;
    const instructions = since("regionInstructions");
    const ofThread = threadSpent.user + threadSpent.system;
    const others = allSpent.user + allSpent.system - ofThread;
    process.stdout.write(
      `round ${round}: ${since("regionsMade")} regions, ${instructions} instructions, ` +
        `${(since("regionBytes") / instructions).toFixed(1)} bytes each; us each: ${(ofThread / instructions).toFixed(2)} this thread, ` +
        `${(others / instructions).toFixed(2)} others\n`,
    );
    before = translator.statistics;
  }
}
