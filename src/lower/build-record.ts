import { SLOT_FIELDS } from "../decode/record-writer.ts";
import type { HandlerShape, OperandShape, RegisterSlot } from "../decode/shape.ts";
import { Value, WideValue } from "../isa/lowering/value.ts";
import type { Bits } from "../isa/ops.ts";
import * as cpu from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import type { Expr } from "../wasm/function-builder.ts";
import type { FlagState } from "./flag-state.ts";
import type { MemoryBits, Modification } from "./memory-access.ts";
import type { RecordContext, RegisterBits } from "./record-context.ts";
import { RecordOps } from "./record-ops.ts";

/** From an XMM register to the upper half of its YMM register. */
const TO_HIGH_HALF = cpu.YMM_HIGH - cpu.XMM;

/** An operand as read: its value, and how to write it back. */
interface Operand {
  readonly value: Value | undefined;
  write(value: Value): void;
}

/**
 * Builds the code of one record: reads the operands, runs the instruction's
 * `execute`, writes results back. Afterwards control goes on behind it unless
 * the instruction jumped (`left`). `flags` are those of the instruction before
 * it, where the same code goes on with this one.
 */
export function buildRecord(context: RecordContext, shape: HandlerShape, flags?: FlagState): RecordOps {
  const ops = new RecordOps(context, shape, flags);
  const { instruction } = shape;
  if (context.defersFlags) ops.flags.begin(instruction.flags);
  checkUnit(ops, shape, context.sseIsEnabled === true, context.x87IsReady === true);
  if (shape.privileged) ops.requirePrivilege();
  const operands = shape.operands.map((operand, i) => {
    const access = instruction.access[i];
    invariant(access !== undefined, `${instruction.mnemonic}: access of operand ${i}`);
    return readOperand(ops, operand, access !== "w", access !== "r", instruction.unaligned);
  });
  const placeholder = new Value(32, context.b.i32(0));
  const results = instruction.execute<Value>(ops, ...operands.map((o) => o.value ?? placeholder));
  if (instruction.simdExceptions && context.mayHaveRaised?.() !== false) commitExceptions(ops);
  if (!ops.left) {
    const values =
      results === undefined
        ? []
        : Array.isArray(results)
          ? (results as readonly Value[])
          : [results as Value];
    const kept = values.map((value) => ops.keep(value));
    let next = 0;
    // Memory first: it may fault, registers may not.
    const written = operands.flatMap((operand, i) =>
      instruction.access[i] === "r" ? [] : [{ operand, shape: shape.operands[i]!, value: kept[next++] }],
    );
    for (const { operand, shape: s, value } of written)
      if (isMemory(s) && value !== undefined) operand.write(value);
    // Nothing faults from here on: a fault leaves the x87 tags and TOP as they were.
    if (instruction.unit === "mmx") ops.perform("mmxEnter");
    // The destination comes last: XADD of a register and itself leaves the sum in it.
    for (const { operand, shape: s, value } of written.reverse())
      if (!isMemory(s) && value !== undefined) operand.write(value);
    if (instruction.unit === "x87" && !instruction.keepsPointers) notePointers(ops, shape);
    if (!context.defersFlags) ops.flags.flush();
  }
  return ops;
}

const isMemory = (o: OperandShape): boolean => o.kind === "memory" || o.kind === "vectorMemory";

/** #UD or #NM when the unit an instruction needs is off (Intel SDM Vol. 3A, "x87 FPU and SIMD State"). */
function checkUnit(ops: RecordOps, shape: HandlerShape, sseIsEnabled: boolean, x87IsReady: boolean): void {
  const { b } = ops;
  const { unit } = shape.instruction;
  if (shape.vex && !shape.code64) requireProtectedMode(ops);
  if (unit === "general" || (unit === "sse" && sseIsEnabled)) return;
  if (unit === "avx") return checkAvx(ops);
  if (unit === "x87") return x87IsReady ? undefined : checkX87(ops);
  const cr0 = ops.state(cpu.CR0, 32).e;
  const emulated = new Value(1, b.op("i32.ne", b.op("i32.and", cr0, b.i32(4)), b.i32(0)));
  const switched = new Value(1, b.op("i32.ne", b.op("i32.and", cr0, b.i32(8)), b.i32(0)));
  if (unit === "x87-control") return ops.raiseWhen(ops.or(emulated, switched), "#NM");
  if (unit === "mmx") {
    ops.raiseWhen(emulated, "#UD");
    ops.raiseWhen(switched, "#NM");
    return checkX87(ops);
  }
  const cr4 = ops.state(cpu.CR4, 32).e;
  const off = b.op("i32.and", b.op("i32.xor", cr4, b.i32(0x200)), b.i32(0x200));
  // One test where nothing is off.
  const unusable = b.op("i32.or", b.op("i32.and", cr0, b.i32(12)), off);
  const fault = () => {
    ops.raiseWhen(ops.or(emulated, new Value(1, b.op("i32.ne", off, b.i32(0)))), "#UD");
    ops.raise("#NM");
  };
  b.if(unusable, fault, undefined, "unlikely");
}

/** Real and virtual-8086 mode do not know VEX prefixes. */
function requireProtectedMode(ops: RecordOps): void {
  const { b } = ops;
  const real = b.op("i32.eqz", b.op("i32.and", ops.state(cpu.CR0, 32).e, b.i32(1)));
  const virtual = b.op("i32.and", ops.state(cpu.RFLAGS_SYSTEM, 32).e, b.i32(0x2_0000));
  ops.raiseWhen(new Value(1, b.op("i32.ne", b.op("i32.or", real, virtual), b.i32(0))), "#UD");
}

/** #UD unless CR4.OSXSAVE is set and XCR0 has SSE and AVX state; #NM with CR0.TS (Intel SDM Vol. 2A, "Exception Type 4"). */
function checkAvx(ops: RecordOps): void {
  const { b } = ops;
  const osxsave = b.op("i32.and", ops.state(cpu.CR4, 32).e, b.i32(0x4_0000));
  const states = b.op("i32.and", ops.state(cpu.XCR0, 32).e, b.i32(6));
  const off = b.bind(b.op("i32.xor", b.op("i32.or", osxsave, states), b.i32(0x4_0006)));
  const switched = b.op("i32.and", ops.state(cpu.CR0, 32).e, b.i32(8));
  const fault = () => {
    ops.raiseWhen(new Value(1, b.op("i32.ne", off, b.i32(0))), "#UD");
    ops.raise("#NM");
  };
  b.if(b.op("i32.or", off, switched), fault, undefined, "unlikely");
}

/** CR0.EM, CR0.TS or FSW.ES: one test where none is set. */
function checkX87(ops: RecordOps): void {
  const { b } = ops;
  const unusable = b.op("i32.and", ops.state(cpu.CR0, 32).e, b.i32(12));
  const pending = b.op("i32.and", ops.state(cpu.X87_FSW, 32).e, b.i32(0x80));
  ops.flags.flush();
  b.if(b.op("i32.or", unusable, pending), () => ops.system("x87Check"), undefined, "unlikely");
}

/** Most instructions of SSE floating point raise nothing, or only what is sticky already, which the core leaves out. */
function commitExceptions(ops: RecordOps): void {
  ops.flags.flush();
  ops.b.if(ops.state(cpu.SSE_RAISED, 32).e, () => ops.system("commitSse"), undefined, "unlikely");
}

/** FOP, FIP and FDP of an x87 instruction that is no control instruction (Intel SDM Vol. 1, "x87 FPU Instruction and Data (Operand) Pointers"). */
function notePointers(ops: RecordOps, shape: HandlerShape): void {
  const { b } = ops;
  ops.setState(cpu.X87_FOP, new Value(32, ops.field("i32.load16_u", record.IMMEDIATE)));
  const length = new Value(64, b.op("i64.extend_i32_u", ops.field("i32.load8_u", record.LENGTH)));
  ops.setState(cpu.X87_FIP, ops.subtract(ops.nextInstruction(), length));
  ops.setState(cpu.X87_FCS, ops.zeroExtend(ops.state(cpu.SEG_CS + cpu.SEGMENT_SELECTOR, 16), 32));
  if (!shape.hasMemory) return;
  // The data pointer is the offset in the operand's segment.
  const segment = b.bind(
    b.op("i32.mul", ops.field("i32.load8_u", record.IMMEDIATE + 2), b.i32(cpu.SEGMENT_BYTES)),
  );
  const at = (field: number) => b.op("i32.add", segment, b.i32(cpu.SEGMENTS + field));
  const base = b.load("i64.load", at(cpu.SEGMENT_EFFECTIVE_BASE), CPU_STATE);
  const offset = new Value(64, b.op("i64.sub", effectiveAddress(ops), base));
  ops.setState(cpu.X87_FDP, ops.code64 ? offset : ops.zeroExtend(ops.truncate(offset, 32), 64));
  ops.setState(cpu.X87_FDS, new Value(32, b.load("i32.load16_u", at(cpu.SEGMENT_SELECTOR), CPU_STATE)));
}

function readOperand(
  ops: RecordOps,
  shape: OperandShape,
  reads: boolean,
  writes: boolean,
  unaligned: boolean,
): Operand {
  const { b } = ops;
  switch (shape.kind) {
    case "general":
      return registerOperand(ops, shape.slot, shape.bits, reads, (offset, value) =>
        ops.writeRegister(offset, value),
      );
    case "xmm":
      return registerOperand(ops, shape.slot, 128, reads, (offset, value) =>
        ops.writeRegister(offset, value),
      );
    case "ymm":
      return ymmOperand(ops, shape.slot, shape.bits, reads);
    case "mm":
      return registerOperand(ops, shape.slot, 64, reads, (offset, value) => {
        ops.writeRegister(offset, value);
        // A write to an MMX register fills the exponent with ones (Intel SDM Vol. 1, "Effect of MMX Instructions on x87").
        b.store("i32.store16", offset, b.i32(0xffff), CPU_STATE + 8);
      });
    case "number":
      return readOnly(new Value(32, ops.field("i32.load16_u", SLOT_FIELDS[shape.slot])));
    case "immediate":
      return readOnly(immediate(ops, shape.bits));
    case "immediate2":
      return readOnly(new Value(32, ops.field("i32.load", record.DISPLACEMENT)));
    case "relative": {
      // The target is known to `jump` and `branch`; as a value it is the offset in the code segment.
      const offset = b.op("i64.extend_i32_s", ops.field("i32.load", record.TARGET_OFFSET));
      return readOnly(new Value(64, b.op("i64.add", ops.state(cpu.RIP_BASE, 64).e, offset), true));
    }
    case "address":
      return readOnly(new Value(64, b.bind(effectiveAddress(ops))));
    case "memory":
    case "vectorMemory":
      return memoryOperand(ops, shape, reads, writes, unaligned);
  }
}

function readOnly(value: Value): Operand {
  return { value, write: () => invariant(false, "this operand is never written") };
}

function immediate(ops: RecordOps, bits: Bits): Value {
  if (bits === 64) return new Value(64, ops.field("i64.load", record.IMMEDIATE));
  const load = bits === 8 ? "i32.load8_u" : bits === 16 ? "i32.load16_u" : "i32.load";
  return new Value(bits, ops.field(load, record.IMMEDIATE));
}

function registerOperand(
  ops: RecordOps,
  slot: RegisterSlot,
  bits: Bits,
  reads: boolean,
  write: (offset: Expr, value: Value) => void,
): Operand {
  const offset = ops.field("i32.load16_u", SLOT_FIELDS[slot]);
  const value = reads ? ops.readRegister(offset, bits as RegisterBits) : undefined;
  return { value, write: (result) => write(offset, result) };
}

/** A register of a VEX form: what is written clears the bits above it. */
function ymmOperand(ops: RecordOps, slot: RegisterSlot, bits: 128 | 256, reads: boolean): Operand {
  const { b } = ops;
  const low = ops.field("i32.load16_u", SLOT_FIELDS[slot]);
  const high = b.op("i32.add", low, b.i32(TO_HIGH_HALF));
  const value = (): Value => {
    const lower = ops.readRegister(low, 128);
    return bits === 128 ? lower : new WideValue(lower, ops.readRegister(high, 128));
  };
  return {
    value: reads ? value() : undefined,
    write: (result) => {
      ops.writeRegister(low, result instanceof WideValue ? result.low : result);
      ops.writeRegister(high, result instanceof WideValue ? result.high : ops.constant(0, 128));
    },
  };
}

/** base + (index << scale) + displacement + segment base, from the record. */
export function effectiveAddress(ops: RecordOps): Expr {
  const { b } = ops;
  const slot = (field: number) => ops.readRegister(ops.field("i32.load16_u", field), 64).e;
  const base = slot(record.BASE);
  const scale = b.op("i64.extend_i32_u", ops.field("i32.load8_u", record.SCALE));
  const index = b.op("i64.shl", slot(record.INDEX_REG), scale);
  const displacement = ops.field("i64.load32_s", record.DISPLACEMENT);
  const segment = slot(record.SEGMENT_SLOT);
  return b.op("i64.add", b.op("i64.add", base, index), b.op("i64.add", displacement, segment));
}

function memoryOperand(
  ops: RecordOps,
  shape: OperandShape & { kind: "memory" | "vectorMemory" },
  reads: boolean,
  writes: boolean,
  unaligned: boolean,
): Operand {
  const address = new Value(64, effectiveAddress(ops));
  const vector = shape.kind === "vectorMemory";
  if (shape.bits >= 128 && !unaligned) {
    const mask = ops.b.i32(shape.bits / 8 - 1);
    const misaligned = ops.b.op("i32.and", ops.b.op("i32.wrap_i64", address.e), mask);
    ops.raiseWhen(new Value(1, misaligned), "#GP");
  }
  if (shape.bits === 256) {
    invariant(!(reads && writes), "256 bits of memory are not modified in place");
    if (reads) return readOnly(ops.memory.load256(address.e));
    return { value: undefined, write: (value) => ops.store(address, value) };
  }
  const bits = shape.bits as MemoryBits;
  const widened = (value: Value): Value =>
    vector && bits < 128 ? ops.vector64(ops.zeroExtend(value, 64)) : value;
  if (!writes) return readOnly(widened(ops.load(bits, address)));
  if (!reads) return { value: undefined, write: (value) => ops.store(address, value) };
  const modification: Modification = ops.memory.modify(bits, address.e);
  return { value: modification.value, write: (value) => ops.memory.finish(modification, value) };
}
