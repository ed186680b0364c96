/**
 * Times functions of vmbench in translated code, without a guest system around them: the shortest and the
 * fifth-shortest of many short runs, so that a busy machine hardly shows.
 * usage: node bench/functions.ts DIR SECONDS [--scatter] TEST...     DIR is what prepare.sh made
 * --scatter: neighbouring pages of the large buffer lie far from each other in guest RAM.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { HALTED, X87_EMPTY, X87_FCW } from "../src/layout/cpu-state.ts";
import { CPU_STATE } from "../src/layout/memory-map.ts";
import { Random } from "../test/oracle/random.ts";
import { Guest, PAGE_DIRECTORY, STACK, USER_CODE } from "../test/processor/guest.ts";

const PAGE = 4096;
const TABLES = 0x20000;
const HALT = 0x100000;
/** vmbench's buffer, of which these tests use 8 MiB. */
const BUFFER = 0x800000;
const BUFFER_PAGES = 2048;
const CHASED = 1024;
const BUDGET = 1_000_000;

/** The function, and the units of work in one run. */
const TESTS: Readonly<Record<string, readonly [name: string, units: number]>> = {
  coremark: ["t_coremark", 20],
  sha256: ["t_sha256", 2],
  qsort1M: ["t_qsort", 1],
  chase64K: ["do_chase", 200_000],
  bytecode: ["t_bytecode", 2],
  nbody: ["t_nbody", 3],
  mandel: ["t_mandel", 8],
  x87: ["t_x87", 4],
  simd: ["t_simd", 100],
  fib: ["t_fib", 8],
  callret: ["t_callret", 200_000],
};

/** A static 64-bit program (System V ABI, "Object Files"). */
class Program {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(file: string) {
    this.#bytes = readFileSync(file);
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
  }

  #long(at: number): number {
    return Number(this.#view.getBigUint64(at, true));
  }

  load(ram: Uint8Array): void {
    const table = this.#long(0x20);
    for (let i = 0; i < this.#view.getUint16(0x38, true); i++) {
      const at = table + 56 * i;
      if (this.#view.getUint32(at, true) !== 1) continue;
      const [offset, address, size] = [8, 16, 32].map((field) => this.#long(at + field));
      ram.set(this.#bytes.subarray(offset!, offset! + size!), address!);
    }
  }

  address(symbol: string): number {
    const table = this.#long(0x28);
    const section = (i: number, field: number): number => this.#long(table + 64 * i + field);
    for (let i = 0; i < this.#view.getUint16(0x3c, true); i++) {
      if (this.#view.getUint32(table + 64 * i + 4, true) !== 2) continue;
      const names = section(this.#view.getUint32(table + 64 * i + 40, true), 24);
      for (let at = section(i, 24); at < section(i, 24) + section(i, 32); at += 24) {
        const from = names + this.#view.getUint32(at, true);
        const name = this.#bytes.subarray(from, this.#bytes.indexOf(0, from));
        if (Buffer.from(name).toString("latin1") === symbol) return this.#long(at + 8);
      }
    }
    throw new Error(`no symbol ${symbol}`);
  }
}

/** Where a linear address of the buffer lies. */
function physical(linear: number, scatter: boolean): number {
  const page = linear / PAGE - BUFFER / PAGE;
  if (!scatter || page < 0 || page >= BUFFER_PAGES) return linear;
  return BUFFER + (((Math.floor(page) * 1237) % BUFFER_PAGES) * PAGE + (linear % PAGE));
}

function prepare(guest: Guest, program: Program, scatter: boolean): void {
  const { ram, view } = guest;
  program.load(ram);
  ram[HALT] = 0xf4;
  for (let entry = 2; entry < 16; entry++) {
    const table = TABLES + PAGE * entry;
    view.setBigUint64(PAGE_DIRECTORY + 8 * entry, BigInt(table) | 7n, true);
    for (let i = 0; i < 512; i++) {
      const at = physical((512 * entry + i) * PAGE, scatter);
      view.setBigUint64(table + 8 * i, BigInt(at) | 7n, true);
    }
  }
  for (const variable of ["bigbuf", "chasep"])
    view.setBigUint64(program.address(variable), BigInt(BUFFER), true);
  // A ring through a node in each line of 64 bytes, in an order that no prefetcher guesses.
  const random = new Random(4242);
  const nodes = Array.from({ length: CHASED }, (_, i) => BUFFER + 64 * i);
  for (let i = CHASED - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [nodes[i], nodes[j]] = [nodes[j]!, nodes[i]!];
  }
  for (const [i, node] of nodes.entries())
    view.setBigUint64(physical(node, scatter), BigInt(nodes[(i + 1) % CHASED]!), true);
}

function times(program: Program, test: string, seconds: number, scatter: boolean): number[] {
  const guest = new Guest("auto").restart();
  prepare(guest, program, scatter);
  const state = new DataView(guest.memory.buffer, CPU_STATE);
  state.setInt32(X87_FCW, 0x37f, true);
  state.setInt32(X87_EMPTY, 0xff, true);
  const [name, units] = TESTS[test]!;
  const entry = BigInt(program.address(name));
  const found: number[] = [];
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; ) {
    guest.enter(USER_CODE);
    guest.view.setBigUint64(STACK - 8, BigInt(HALT), true);
    guest.set("rsp", BigInt(STACK - 8));
    guest.set("rip", entry);
    guest.set("rdi", BigInt(units));
    state.setInt32(HALTED, 0, true);
    const start = performance.now();
    while (guest.parts.processor.run(BUDGET) === "budget");
    found.push(((performance.now() - start) * 1e6) / units);
  }
  return found.sort((x, y) => x - y);
}

const args = process.argv.slice(2).filter((arg) => arg !== "--scatter");
const [directory = "", seconds = "5", ...tests] = args;
const program = new Program(path.join(directory, "vmbench"));
for (const test of tests) {
  const found = times(program, test, Number(seconds), process.argv.includes("--scatter"));
  const [shortest, fifth] = [0, Math.min(4, found.length - 1)].map((i) => found[i]!.toPrecision(4));
  process.stdout.write(`${test.padEnd(9)} ${shortest} ${fifth} ns, ${found.length} runs\n`);
}
process.exit(0);
