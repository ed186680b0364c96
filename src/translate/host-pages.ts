import { TLB_ADDEND, TLB_TAG, TLB_WRITE } from "../layout/memory-map.ts";
import type { HostAddress } from "../lower/record-context.ts";
import { tlbEntry, tlbOffset } from "../lower/tlb-entry.ts";
import {
  type CodeSpan,
  constantOf,
  type Expr,
  type FunctionBuilder,
  type LinkedNumber,
  type Variable,
} from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";
import type { ValueNumbers } from "../wasm/value-numbers.ts";

/** Bytes from the lowest to the highest access that are looked up together: the more, the more often a page ends between. */
const MOST_BYTES = 512;
const PAGE_BYTES = 4096;
/** What splitStore of REGION_FUNCTIONS stores. */
const SPLIT_STORE_BYTES = 16;

/** Accesses at one root, looked up in the TLB by the first of them. */
interface AccessGroup {
  readonly root: number;
  /** The code in which the look-up stands. */
  readonly span: CodeSpan;
  /** Host address of the lowest access; 0 where they do not all lie on one page that the TLB has. */
  readonly host: Variable;
  /** Displacement of the lowest access, and of the end of the highest. */
  lowest: bigint;
  end: bigint;
  writes: boolean;
}

/** What is known at a place of the code: groups whose look-up control has come through. */
export type KnownPages = readonly AccessGroup[];

/** How memory is accessed. */
interface AccessKind {
  readonly writes: boolean;
  /** What is going to be stored, if nothing else is done with the address. */
  readonly stored: Expr | undefined;
  /** Leaves the code. */
  miss(): void;
}

export interface HostPagesParts {
  readonly b: FunctionBuilder;
  readonly numbers: ValueNumbers;
  tlbBase(): Expr;
  /** `hostAddress` of REGION_FUNCTIONS. */
  readonly lookUp: FunctionRef;
  readonly splitStore: FunctionRef;
  /** Address of a cell for the addend that a look-up at a root finds; undefined where guessing does not pay. */
  addendCell(root: number): LinkedNumber | undefined;
}

/**
 * The memory accesses of a region. Those that are at constant distances from each other are looked up in the TLB together,
 * where the first of them stands: an entry found there stays good, since no instruction of a region flushes the TLB. Where that
 * fails, because the page is not there or ends among them, each is looked up by itself.
 */
export class HostPages {
  readonly #b: FunctionBuilder;
  readonly #numbers: ValueNumbers;
  readonly #tlbBase: () => Expr;
  readonly #lookUp: FunctionRef;
  readonly #splitStore: FunctionRef;
  readonly #addendCell: HostPagesParts["addendCell"];
  /** What the load or store that comes next is relative to. */
  readonly #base: Variable;
  #groups: KnownPages = [];

  constructor({ b, numbers, tlbBase, lookUp, splitStore, addendCell }: HostPagesParts) {
    this.#b = b;
    this.#numbers = numbers;
    this.#tlbBase = tlbBase;
    this.#lookUp = lookUp;
    this.#splitStore = splitStore;
    this.#addendCell = addendCell;
    this.#base = b.local("i32");
  }

  get known(): KnownPages {
    return this.#groups;
  }

  /** Goes on from a place where that was known. */
  restore(known: KnownPages): void {
    this.#groups = known;
  }

  /** Nothing is known any more: mappings may have changed. */
  forget(): void {
    this.#groups = [];
  }

  /** Where `bytes` bytes at a linear address are. */
  host(address: Expr, bytes: number, { writes, stored, miss }: AccessKind): HostAddress {
    const b = this.#b;
    const { root, displacement } = this.#numbers.of(address);
    const end = displacement + BigInt(bytes);
    const lookUp = (group: AccessGroup, tag: Expr): Expr => {
      const last = b.i32(PAGE_BYTES - bytes);
      const answer = b.call(this.#lookUp, address, last, b.i32(writes ? TLB_WRITE : 0), tag)!;
      const found = b.bind(b.op("i32.xor", answer, b.i32(-1)));
      const isMissing = b.op("i32.eqz", found);
      const host = bytes === SPLIT_STORE_BYTES && stored !== undefined ? b.variable("i32", found) : undefined;
      if (host === undefined) b.if(isMissing, miss, undefined, "unlikely");
      else b.if(isMissing, () => this.#storeAcross(address, stored!, host, miss));
      const before = b.op(
        "i32.wrap_i64",
        b.lateI64(() => Number(displacement - group.lowest)),
      );
      return b.op("i32.sub", host === undefined ? found : b.get(host), before);
    };
    const known = this.#groups.find((group) => fits(group, root, displacement, end));
    const group = known ?? { root, span: b.span, host: b.local("i32"), lowest: displacement, end, writes };
    if (known === undefined) {
      this.#groups = [...this.#groups.filter((g) => !g.span.closed), group];
      this.#open(group, address, displacement, lookUp);
    } else {
      known.lowest = min(known.lowest, displacement);
      known.end = max(known.end, end);
      known.writes ||= writes;
      b.set(this.#base, b.getLazy(known.host));
      const isAlone = b.op("i32.eqz", b.getLazy(this.#base));
      b.if(isAlone, () => b.set(this.#base, lookUp(known, b.i64(0n))), undefined, "unlikely");
    }
    return { base: b.getLazy(this.#base), offset: () => Number(displacement - group.lowest) };
  }

  /** Unaligned vectors often go across the end of a page; what they leave behind may be stored again. */
  #storeAcross(address: Expr, stored: Expr, host: Variable, miss: () => void): void {
    const b = this.#b;
    const halves = [0, 1].map((lane) => b.opImm("i64x2.extract_lane", lane, stored));
    b.set(host, b.call(this.#splitStore, address, ...halves)!);
    b.if(b.op("i32.eqz", b.getLazy(host)), miss, undefined, "unlikely");
  }

  /** The look-up of a group, at its first access. */
  #open(
    group: AccessGroup,
    address: Expr,
    displacement: bigint,
    lookUp: (group: AccessGroup, tag: Expr) => Expr,
  ): void {
    const b = this.#b;
    const before = b.lateI64(() => Number(group.lowest - displacement));
    const lowest = b.bind(b.op("i64.add", address, before));
    const bank = this.#tlbBase();
    const known = constantOf(bank);
    const entry = b.bind(typeof known === "number" ? tlbOffset(b, lowest) : tlbEntry(b, bank, lowest));
    const from = typeof known === "number" ? known : 0;
    const field = (offset: number) => () => from + (group.writes ? TLB_WRITE : 0) + offset;
    const tag = b.load("i64.load", entry, field(TLB_TAG));
    const room = b.lateI64(() => PAGE_BYTES - Number(group.end - group.lowest));
    b.if(
      b.op("i64.gt_u", b.op("i64.sub", lowest, tag), room),
      () => {
        b.set(this.#base, lookUp(group, tag));
        b.set(group.host, b.i32(0));
      },
      () => {
        this.#setHost(group, lowest, b.load("i32.load", entry, field(TLB_ADDEND)));
        b.set(this.#base, b.getLazy(group.host));
      },
      "unlikely",
    );
  }

  /**
   * The host's address, by the addend that the TLB has. Nearby pages often have the same, so the last one is guessed first: the
   * processor then goes on with a sum that does not wait for the TLB.
   */
  #setHost(group: AccessGroup, lowest: Expr, addend: Expr): void {
    const b = this.#b;
    const plus = (x: Expr): void => b.set(group.host, b.op("i32.add", b.op("i32.wrap_i64", lowest), x));
    const place = this.#addendCell(group.root);
    if (place === undefined) return plus(addend);
    const cell = b.linked(place);
    const guessed = b.load("i32.load", cell);
    b.if(
      b.op("i32.eq", guessed, addend),
      () => plus(guessed),
      () => {
        b.store("i32.store", cell, addend);
        plus(addend);
      },
      "likely",
    );
  }
}

function fits(group: AccessGroup, root: number, displacement: bigint, end: bigint): boolean {
  if (group.root !== root || group.span.closed) return false;
  return max(group.end, end) - min(group.lowest, displacement) <= BigInt(MOST_BYTES);
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
