import {
  BASE_RIP,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  type DecodedInstruction,
  Decoder,
  NO_REGISTER,
} from "../../src/decode/decoder.ts";
import type { OperandSpec } from "../../src/decode/operand-spec.ts";
import { encodedRegister } from "../../src/decode/record-writer.ts";
import { type HandlerShape, type OperandShape, ShapeTable } from "../../src/decode/shape.ts";
import type { Bits } from "../../src/isa/ops.ts";
import { generalRegisterOffset } from "../../src/isa/registers.ts";
import * as cpu from "../../src/layout/cpu-state.ts";
import { invariant } from "../../src/layout/invariant.ts";
import { EvaluatorOps } from "./evaluator-ops.ts";
import { GuestFault } from "./faults.ts";
import type { State } from "./state.ts";
import { cut, type Value } from "./value.ts";

const decoder = new Decoder();
const shapes = new ShapeTable(0);
/** From an XMM register to the upper half of its YMM register. */
const TO_HIGH_HALF = cpu.YMM_HIGH - cpu.XMM;

/**
 * Executes the instruction at the start of `bytes`, which RIP points to and
 * behind which nothing can be fetched.
 *
 * @returns The fault that it ended with; undefined when it did its work. RIP is
 *   then the next instruction's, and the faulting one's after a fault.
 * @throws UnsupportedHelper where it needs a function of src/core without a model.
 */
export function runInstruction(bytes: Uint8Array, state: State): GuestFault | undefined {
  const start = state.rip;
  const { codeBits } = state;
  const length = decoder.decode(bytes, 0, bytes.length, codeBits);
  if (length === DECODE_TRUNCATED) return fetchFault(state, start + BigInt(bytes.length));
  if (length <= 0) return new GuestFault(length === DECODE_TOO_LONG ? "#GP" : "#UD");
  const decoded = decoder.result;
  const next = start + BigInt(length);
  state.rip = codeBits === 64 ? BigInt.asUintN(64, next) : BigInt.asUintN(codeBits, next);
  const before = state.fingerprint;
  try {
    execute(decoded, state);
    return undefined;
  } catch (error) {
    if (!(error instanceof GuestFault)) throw error;
    if (error.isTrap) return error;
    state.rip = start;
    // A string instruction has done some of its elements.
    const restartable = decoded.form.form.repeatable || state.fingerprint === before;
    invariant(restartable, `${decoded.form.instruction.mnemonic} changes no register before it faults`);
    return error;
  }
}

function fetchFault(state: State, address: bigint): GuestFault {
  const user = state.field(cpu.CPL, 32) === 3n ? 4 : 0;
  const errorCode = 0x10 | user | (state.memory.isMapped(address) ? 1 : 0);
  return new GuestFault("#PF", { errorCode, address });
}

function execute(decoded: DecodedInstruction, state: State): void {
  const { form } = decoded;
  const { instruction } = form;
  const shape = shapes.shapeOf(form, decoded.operandBits, state.codeBits === 64, decoded.isMemory);
  const ops = new EvaluatorOps(state, shape, decoded);
  if (instruction.unit === "mmx" || instruction.unit === "x87") ops.system("x87Check");
  if (shape.privileged) ops.requirePrivilege();
  const places = shape.operands.map(
    (operand, i) => new Place(operand, form.operands[i]!, decoded, state, ops, shape),
  );
  const values = places.map((place, i) => place.access(instruction.access[i]!, instruction.unaligned));
  const returned = instruction.execute<Value>(ops, ...values);
  const results =
    returned === undefined ? [] : Array.isArray(returned) ? (returned as Value[]) : [returned as Value];

  const written = places.filter((_, i) => instruction.access[i] !== "r");
  for (const [i, place] of written.entries()) if (place.isMemory && results[i]) place.write(results[i]);
  if (instruction.unit === "mmx") ops.perform("mmxEnter");
  // The destination comes last: XADD of a register and itself leaves the sum in it.
  for (const [i, place] of [...written.entries()].reverse())
    if (!place.isMemory && results[i]) place.write(results[i]);
}

/** An operand: where it lies, and how to read and write it. */
class Place {
  readonly isMemory: boolean;
  readonly #operand: OperandShape;
  readonly #spec: OperandSpec;
  readonly #decoded: DecodedInstruction;
  readonly #state: State;
  readonly #ops: EvaluatorOps;
  readonly #shape: HandlerShape;
  #address: Value | undefined;

  constructor(
    operand: OperandShape,
    spec: OperandSpec,
    decoded: DecodedInstruction,
    state: State,
    ops: EvaluatorOps,
    shape: HandlerShape,
  ) {
    this.#operand = operand;
    this.#spec = spec;
    this.#decoded = decoded;
    this.#state = state;
    this.#ops = ops;
    this.#shape = shape;
    this.isMemory = operand.kind === "memory" || operand.kind === "vectorMemory";
  }

  /** The operand's value; where it is only written, no value that counts. */
  access(use: "r" | "w" | "rw", unaligned: boolean): Value {
    const operand = this.#operand;
    const decoded = this.#decoded;
    switch (operand.kind) {
      case "immediate":
        return cut(operand.bits, decoded.immediate);
      case "immediate2":
        return cut(32, decoded.immediate2);
      case "relative":
        return cut(64, this.#state.rip + decoded.immediate);
      case "number":
        return cut(32, this.#number & (this.#spec.source === "fixed" ? 7 : this.#spec.register));
      case "address":
        return this.#effectiveAddress(1, "read");
      case "memory":
      case "vectorMemory":
        return this.#accessMemory(operand.bits as Bits, use, unaligned);
      case "ymm":
        return cut(operand.bits, this.#ymm);
      default:
        return cut(this.#registerBits, this.#state.field(this.#offset, this.#registerBits));
    }
  }

  write(value: Value): void {
    const operand = this.#operand;
    const { kind } = operand;
    if (this.isMemory) return this.#ops.store(this.#address!, value);
    if (operand.kind === "ymm") {
      invariant(value.bits === operand.bits, `a result of ${operand.bits} bits, not ${value.bits}`);
      this.#state.setField(this.#offset, 128, value.value);
      this.#state.setField(this.#offset + TO_HIGH_HALF, 128, value.value >> 128n);
      return;
    }
    invariant(value.bits === this.#registerBits, `a result of ${this.#registerBits} bits, not ${value.bits}`);
    if (kind === "general") return this.#ops.writeGeneral(this.#offset, value);
    this.#state.setField(this.#offset, this.#registerBits, value.value);
    // A write to an MMX register fills the x87 register's exponent with ones.
    if (kind === "mm") this.#state.setField(this.#offset + 8, 16, 0xffffn);
  }

  #accessMemory(bits: Bits, use: "r" | "w" | "rw", unaligned: boolean): Value {
    const address = this.#effectiveAddress(bits / 8, use === "r" ? "read" : "write");
    this.#address = address;
    if (bits >= 128 && !unaligned && address.value % BigInt(bits / 8) !== 0n) throw new GuestFault("#GP");
    if (use === "w") return cut(bits, 0);
    if (use === "rw") this.#ops.checkWrite(bits, address);
    const value = this.#ops.load(bits as 64, address);
    return this.#operand.kind === "vectorMemory" && bits < 128 ? cut(128, value.value) : value;
  }

  /** Base + index * scale + displacement, cut to the address size, in the operand's segment. */
  #effectiveAddress(bytes: number, access: "read" | "write"): Value {
    const { base, index, scale, displacement, addressBits, segment, form, immediate } = this.#decoded;
    const register = (n: number): bigint => (n === NO_REGISTER ? 0n : this.#state.field(cpu.GPR + 8 * n, 64));
    let sum = BigInt(displacement) + (form.vsib ? 0n : register(index) << BigInt(scale));
    if (base === BASE_RIP) sum += this.#state.rip;
    else sum += register(base);
    if (this.#spec.source === "moffs") sum = immediate;
    // POP computes the address after it has incremented RSP.
    if (form.form.popsFirst && base === 4) sum += BigInt(this.#shape.operandBits / 8);
    const offset = BigInt.asUintN(addressBits, sum);
    if (form.form.offsetOnly) return cut(64, offset);
    return cut(64, this.#state.segmentAddress(segment, offset, bytes, access));
  }

  /** The whole register, both halves. */
  get #ymm(): bigint {
    const offset = this.#offset;
    return this.#state.field(offset, 128) | (this.#state.field(offset + TO_HIGH_HALF, 128) << 128n);
  }

  get #number(): number {
    const { source, register } = this.#spec;
    return source === "fixed" ? register : encodedRegister(this.#decoded, source);
  }

  get #registerBits(): 8 | 16 | 32 | 64 | 128 {
    const operand = this.#operand;
    if (operand.kind === "xmm") return 128;
    if (operand.kind === "mm") return 64;
    invariant(operand.kind === "general", "a register");
    return operand.bits;
  }

  /** Where the register lies in the state. */
  get #offset(): number {
    const n = this.#number;
    if (this.#operand.kind === "xmm" || this.#operand.kind === "ymm") return cpu.XMM + 16 * n;
    if (this.#operand.kind === "mm") return cpu.X87 + cpu.X87_REGISTER_BYTES * (n & 7);
    // Without REX, byte registers 4 to 7 are AH, CH, DH and BH.
    const isHigh =
      this.#registerBits === 8 && n >= 4 && n < 8 && this.#decoded.rex === 0 && this.#spec.source !== "fixed";
    return generalRegisterOffset("rax") + (isHigh ? 8 * (n - 4) + 1 : 8 * n);
  }
}
