import { ByteWriter } from "./encoding.ts";
import {
  Expr,
  Frame,
  KIND_CONSTANT,
  KIND_GLOBAL,
  KIND_LATE,
  KIND_LINKED,
  KIND_LOCAL,
  type LateNumber,
  type LinkedNumber,
  MUTABLE,
} from "./expression.ts";
import { LINKED_BYTES, type LinkableFunction } from "./linking.ts";
import { type LoopRange, shareLocals } from "./local-slots.ts";
import type { FunctionRef } from "./module-writer.ts";
import type { Opcode } from "./opcodes.ts";
import { type FunctionType, VALUE_TYPE_BYTE, type ValueType } from "./value-type.ts";

const UNREACHABLE = 0x00;
const END = 0x0b;
const LOCAL_GET = 0x20;
const LOCAL_SET = 0x21;
const LOCAL_TEE = 0x22;
const GLOBAL_GET = 0x23;
const I32_CONST = 0x41;
const I64_CONST = 0x42;

/** Bytes that are kept free for a late number, which as LEB128 may have leading zeros. */
const LATE_BYTES = 3;

/** Packs a position in the code with a local's index, so that an array of them sorts by position. */
const LOCALS_LIMIT = 2 ** 20;

export interface BranchHint {
  /** From the start of the function's body, as the section wants it. */
  readonly offset: number;
  readonly likely: boolean;
}

export interface AssembledFunction {
  /** The locals and the code, `end` included, without the length in front. */
  readonly body: Uint8Array;
  readonly hints: readonly BranchHint[];
}

/**
 * Writes one function's code as it goes: keeps its locals, its frames, and where in the code each value that
 * is still there was computed.
 *
 * A value is kept in a local only once it is wanted a second time. By then its first computation already
 * stands in the code, so the `local.tee` is noted and put there when the function is assembled. For the same
 * reason the local must have been free since that first computation.
 */
export class CodeEmitter {
  readonly code = new ByteWriter(512);
  frame: Frame;
  private scope: Frame;
  private readonly localTypes: ValueType[];
  private readonly parameterCount: number;
  private readonly hasResults: boolean;
  /** The free locals of each type, and since which position each local has been free. */
  private readonly freeLocals: Record<ValueType, number[]>;
  private readonly freeSince: number[] = [];
  /** The last `local.set`: which local, where it starts and where it ends. */
  private lastSetLocal = -1;
  private lastSetStart = -1;
  private lastSetEnd = -1;
  private readonly tees: number[] = [];
  /** Where the index of a local stands in the code, each followed by the local. */
  private readonly localUses: number[] = [];
  /** Locals of variables, which keep their index. */
  private readonly kept = new Set<number>();
  private readonly loops: LoopRange[] = [];
  private readonly typeUses: { readonly position: number; readonly type: FunctionType }[] = [];
  private readonly lates: {
    readonly position: number;
    readonly value: LateNumber;
    readonly isSigned: boolean;
  }[] = [];
  private readonly links: {
    readonly position: number;
    readonly number: LinkedNumber;
  }[] = [];
  private readonly hints: { readonly position: number; readonly likely: boolean }[] = [];

  constructor(type: FunctionType) {
    const { params } = type;
    this.hasResults = type.results.length > 0;
    this.frame = new Frame(undefined, true, 0, -1);
    this.scope = this.frame;
    this.localTypes = [...params];
    this.parameterCount = params.length;
    this.freeLocals = { i32: [], i64: [], f32: [], f64: [], v128: [], funcref: [] };
  }

  /** A local that is in use until the innermost scope ends. */
  takeLocal(type: ValueType): number {
    const local = this.freeLocals[type].pop() ?? this.addLocal(type);
    this.scope.bound.push(local);
    return local;
  }

  /** A local that may be set wherever its scope is. */
  takeVariable(type: ValueType): number {
    const local = this.takeLocal(type);
    this.kept.add(local);
    return local;
  }

  /** The value of a local of the innermost scope. */
  localRead(type: ValueType, local: number, isMutable = false): Expr {
    const payload = isMutable ? MUTABLE : undefined;
    return new Expr(KIND_LOCAL, type, undefined, undefined, undefined, undefined, payload, local, this.scope);
  }

  openFrame(isBlock: boolean, forwardsUntil: number): Frame {
    this.frame = new Frame(this.frame, false, this.frame.depth + (isBlock ? 1 : 0), forwardsUntil);
    return this.frame;
  }

  openScope(): Frame {
    this.frame = new Frame(this.frame, true, this.frame.depth, -1);
    this.scope = this.frame;
    return this.frame;
  }

  closeFrame(frame: Frame): void {
    if (frame !== this.frame || frame.parent === undefined)
      throw new Error("wasm: frames close out of order");
    frame.closed = true;
    this.frame = frame.parent;
    const { shared } = frame;
    for (let i = 0; i < shared.length; i += 2) {
      const local = shared[i] as number;
      const position = shared[i + 1] as number;
      if (position <= frame.forwardsUntil) frame.parent.shared.push(local, position);
      else this.releaseLocal(local);
    }
    if (!frame.isScope) return;
    for (const local of frame.bound) this.releaseLocal(local);
    let scope = frame.parent;
    while (!scope.isScope) scope = scope.parent as Frame;
    this.scope = scope;
  }

  opcode(opcode: Opcode): void {
    if (opcode.prefix === 0) this.code.u8(opcode.code);
    else {
      this.code.u8(opcode.prefix);
      this.code.u32(opcode.code);
    }
  }

  localSet(local: number): void {
    this.lastSetLocal = local;
    this.lastSetStart = this.code.length;
    this.code.u8(LOCAL_SET);
    this.localIndex(local);
    this.lastSetEnd = this.code.length;
  }

  /** Notes that the index of `type` belongs here. */
  typeUse(type: FunctionType): void {
    this.typeUses.push({ position: this.code.length, type });
  }

  /** Keeps room here for a number that is known only when the function is finished. */
  late(value: LateNumber, isSigned = false): void {
    this.lates.push({ position: this.code.length, value, isSigned });
    for (let i = 0; i < LATE_BYTES; i++) this.code.u8(0);
  }

  /** Keeps room here for a number that is put in when the function is linked. */
  linked(number: LinkedNumber): void {
    this.links.push({ position: this.code.length, number });
    for (let i = 0; i < LINKED_BYTES; i++) this.code.u8(0);
  }

  /** The index of a function that is called. */
  callee({ index, symbol }: FunctionRef): void {
    if (symbol === undefined) this.code.u32(index);
    else this.linked({ symbol, addend: 0 });
  }

  /** Notes that the code from `start` to here is a loop. */
  loopEnds(start: number): void {
    this.loops.push({ start, end: this.code.length });
  }

  /** Notes a hint for the branch instruction that comes next. */
  hint(likely: boolean): void {
    this.hints.push({ position: this.code.length, likely });
  }

  /** Puts the value on the stack. */
  push(e: Expr): void {
    if (e.kind === KIND_CONSTANT) {
      this.pushConstant(e);
      return;
    }
    if (e.kind === KIND_LOCAL) {
      if (e.frame?.closed) throw new Error("wasm: a local is read after the end of its scope");
      this.localGet(e.local);
      return;
    }
    if (e.kind === KIND_GLOBAL) {
      this.code.u8(GLOBAL_GET);
      this.code.u32(e.local);
      return;
    }
    if (e.kind === KIND_LATE) {
      this.code.u8(I64_CONST);
      this.late(e.payload as LateNumber, true);
      return;
    }
    if (e.kind === KIND_LINKED) {
      this.code.u8(I32_CONST);
      this.linked(e.payload as LinkedNumber);
      return;
    }
    const frame = frameOfValue(e);
    if (frame !== undefined) {
      if (e.local < 0) this.share(e, frame);
      this.code.u8(LOCAL_GET);
      this.localIndex(e.local);
      return;
    }
    if (e.a !== undefined) this.push(e.a);
    if (e.b !== undefined) this.push(e.b);
    if (e.c !== undefined) this.push(e.c);
    const opcode = e.opcode as Opcode;
    this.opcode(opcode);
    if (opcode.immediate === "lane") this.code.u8(e.payload as number);
    else if (opcode.immediate === "shuffle") this.code.rawBytes(e.payload as Uint8Array);
    e.frame = this.frame;
    e.position = this.code.length;
    e.local = -1;
  }

  assemble(typeIndex: (type: FunctionType) => number): LinkableFunction {
    const { code, hints, links, typeUses, localUses } = this;
    for (const { position, value, isSigned } of this.lates)
      writeLate(code.bytes, position, value(), isSigned);
    const out = new ByteWriter(code.length + 4 * this.tees.length + 2 * typeUses.length + 32);
    const tees = Float64Array.from(this.tees).sort();
    const indices = this.writeLocals(out, this.shareSlots());
    const placedHints: BranchHint[] = [];
    const placedLinks: number[] = [];
    const { length } = code;
    let from = 0;
    let teeAt = 0;
    let typeAt = 0;
    let hintAt = 0;
    let useAt = 0;
    let linkAt = 0;
    for (;;) {
      const packed = tees[teeAt] ?? Number.POSITIVE_INFINITY;
      const tee = Math.floor(packed / LOCALS_LIMIT);
      const type = typeUses[typeAt]?.position ?? Number.POSITIVE_INFINITY;
      const hint = hints[hintAt]?.position ?? Number.POSITIVE_INFINITY;
      const use = localUses[useAt] ?? Number.POSITIVE_INFINITY;
      const link = links[linkAt]?.position ?? Number.POSITIVE_INFINITY;
      const next = Math.min(tee, type, hint, use, link, length);
      out.rawRange(code.bytes, from, next);
      from = next;
      // A value's end may be where a branch begins, and then the tee comes first.
      if (next === tee) {
        out.u8(LOCAL_TEE);
        out.u32(indices[packed % LOCALS_LIMIT] as number);
        teeAt++;
      } else if (next === type) {
        out.u32(typeIndex((typeUses[typeAt++] as { readonly type: FunctionType }).type));
      } else if (next === hint) {
        placedHints.push({
          offset: out.length,
          likely: (hints[hintAt++] as { readonly likely: boolean }).likely,
        });
      } else if (next === use) {
        const local = localUses[useAt + 1] as number;
        out.u32(indices[local] as number);
        from += bytesOfU32(local);
        useAt += 2;
      } else if (next === link) {
        const { number } = links[linkAt++] as (typeof links)[number];
        placedLinks.push(out.length, number.symbol, number.addend);
      } else break;
    }
    // Results leave by `return`, so the end of the body, if code gets there, is a mistake.
    if (this.hasResults) out.u8(UNREACHABLE);
    out.u8(END);
    return { body: out.toBytes(), hints: placedHints, links: Int32Array.from(placedLinks) };
  }

  /** Which local's place each local takes. */
  private shareSlots(): Int32Array {
    const { localTypes, kept, parameterCount } = this;
    const first = new Int32Array(localTypes.length).fill(-1);
    const last = new Int32Array(localTypes.length).fill(-1);
    const note = (local: number, position: number): void => {
      const known = first[local] as number;
      if (known < 0 || position < known) first[local] = position;
      if (position > (last[local] as number)) last[local] = position;
    };
    for (let i = 0; i < this.localUses.length; i += 2)
      note(this.localUses[i + 1] as number, this.localUses[i] as number);
    for (const packed of this.tees) note(packed % LOCALS_LIMIT, Math.floor(packed / LOCALS_LIMIT));
    const mayShare = (local: number): boolean => local >= parameterCount && !kept.has(local);
    return shareLocals({ first, last }, this.loops, (local) =>
      mayShare(local) ? VALUE_TYPE_BYTE[localTypes[local] as ValueType] : -1,
    );
  }

  /** A local that is set by the instruction right before is set by `local.tee` instead. */
  private localGet(local: number): void {
    if (local === this.lastSetLocal && this.code.length === this.lastSetEnd) {
      this.code.bytes[this.lastSetStart] = LOCAL_TEE;
      this.lastSetEnd = -1;
      return;
    }
    this.code.u8(LOCAL_GET);
    this.localIndex(local);
  }

  private localIndex(local: number): void {
    this.localUses.push(this.code.length, local);
    this.code.u32(local);
  }

  private addLocal(type: ValueType): number {
    return this.localTypes.push(type) - 1;
  }

  private releaseLocal(local: number): void {
    this.freeSince[local] = this.code.length;
    this.freeLocals[this.localTypes[local] as ValueType].push(local);
  }

  /** Gives a value that stands in the code already a local, from its computation to the end of `frame`. */
  private share(e: Expr, frame: Frame): void {
    const free = this.freeLocals[e.type];
    let index = free.length - 1;
    while (index >= 0 && (this.freeSince[free[index] as number] as number) > e.position) index--;
    if (index >= 0) e.local = free.splice(index, 1)[0] as number;
    else e.local = this.addLocal(e.type);
    frame.shared.push(e.local, e.position);
    this.tees.push(e.position * LOCALS_LIMIT + e.local);
  }

  private pushConstant(e: Expr): void {
    const code = this.code;
    switch (e.type) {
      case "i32":
        code.u8(I32_CONST);
        code.s32(e.payload as number);
        return;
      case "i64":
        code.u8(I64_CONST);
        code.s64(e.payload as bigint);
        return;
      case "f32":
        code.u8(0x43);
        code.f32(e.payload as number);
        return;
      case "f64":
        code.u8(0x44);
        code.f64(e.payload as number);
        return;
      case "v128":
        code.u8(0xfd);
        code.u8(0x0c);
        code.rawBytes(e.payload as Uint8Array);
        return;
      case "funcref":
        throw new Error("wasm: there are no constants of type funcref");
    }
  }

  /** Writes the locals that are left, those of a type together; returns the index of each. */
  private writeLocals(out: ByteWriter, slots: Int32Array): Int32Array {
    const { localTypes, parameterCount } = this;
    if (localTypes.length >= LOCALS_LIMIT)
      throw new Error(`wasm: a function has ${localTypes.length} locals`);
    const indices = new Int32Array(localTypes.length);
    const byType = new Map<ValueType, number[]>();
    for (let local = 0; local < slots.length; local++) {
      if (local < parameterCount) indices[local] = local;
      else if (slots[local] === local) {
        const type = localTypes[local] as ValueType;
        const group = byType.get(type);
        if (group === undefined) byType.set(type, [local]);
        else group.push(local);
      }
    }
    out.u32(byType.size);
    let next = parameterCount;
    for (const [type, group] of byType) {
      out.u32(group.length);
      out.u8(VALUE_TYPE_BYTE[type]);
      for (const local of group) indices[local] = next++;
    }
    for (let local = parameterCount; local < slots.length; local++)
      indices[local] = indices[slots[local] as number] as number;
    return indices;
  }
}

function bytesOfU32(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}

/** LEB128 of a fixed length. */
function writeLate(bytes: Uint8Array, position: number, value: number, isSigned: boolean): void {
  const least = isSigned ? -(2 ** 20) : 0;
  if (!Number.isInteger(value) || value < least || value >= least + 2 ** 21)
    throw new RangeError(`wasm: ${value} is too big for a late number`);
  for (let i = 0; i < LATE_BYTES; i++) {
    const more = i < LATE_BYTES - 1 ? 0x80 : 0;
    bytes[position + i] = ((value >> (7 * i)) & 0x7f) | more;
  }
}

/** The open frame to whose end the operation's last computation holds, if it still holds. */
function frameOfValue(e: Expr): Frame | undefined {
  let frame = e.frame;
  if (frame === undefined || !frame.closed) return frame;
  while (frame?.closed) {
    if (e.position > frame.forwardsUntil) {
      e.frame = undefined;
      return undefined;
    }
    frame = frame.parent;
  }
  e.frame = frame;
  return frame;
}
