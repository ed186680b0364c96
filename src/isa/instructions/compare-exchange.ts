import { form, instruction, lockable, only64 } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { setSubtractionFlags } from "./arithmetic.ts";
import { placed } from "./bits.ts";

/** Compares the accumulator with `dst`, which goes to it when they differ: else its upper half stays. */
function compareAccumulator<V>(ops: Ops<V>, dst: V): V {
  const accumulator = ops.register("rax", ops.operandBits);
  const equal = ops.keep(ops.equal(accumulator, dst));
  setSubtractionFlags(
    ops,
    accumulator,
    dst,
    ops.subtract(accumulator, dst),
    ops.lessUnsigned(accumulator, dst),
  );
  ops.when(ops.not(equal), () => ops.setRegister("rax", dst));
  return equal;
}

export const cmpxchg = instruction({
  mnemonic: "cmpxchg",
  source: "Intel SDM Vol. 2A, CMPXCHG",
  access: "rw r",
  flags: { writes: "cf pf af zf sf of" },
  forms: [form("0F B0 /r", "rm8, r8", lockable), form("0F B1 /r", "m:v, r:v", lockable)],
  execute(ops, dst, src) {
    return ops.select(compareAccumulator(ops, dst), src, dst);
  },
});

/** With a register as destination, all 64 bits of which stay when the comparison fails. */
export const cmpxchgRegister = instruction({
  mnemonic: "cmpxchg",
  source: "Intel SDM Vol. 2A, CMPXCHG",
  access: "rw r",
  flags: { writes: "cf pf af zf sf of" },
  forms: [form("0F B1 /r", "r64:rm, r:v")],
  execute(ops, dst, src) {
    const equal = compareAccumulator(ops, ops.truncate(dst, ops.operandBits));
    return ops.select(equal, placed(ops, dst, src), dst);
  },
});

// CMPXCHG8B and CMPXCHG16B: EDX:EAX or RDX:RAX against memory, ECX:EBX or RCX:RBX to it.

export const cmpxchg8b = instruction({
  mnemonic: "cmpxchg8b",
  source: "Intel SDM Vol. 2A, CMPXCHG8B/CMPXCHG16B",
  access: "rw",
  flags: { writes: "zf" },
  forms: [form("0F C7 /1", "m64", { ...lockable, rexW: false })],
  execute(ops, dst) {
    const pair = (high: "rdx" | "rcx", low: "rax" | "rbx") =>
      ops.or(
        ops.shiftLeft(ops.zeroExtend(ops.register(high, 32), 64), 32),
        ops.zeroExtend(ops.register(low, 32), 64),
      );
    const replacement = pair("rcx", "rbx");
    const equal = ops.keep(ops.equal(pair("rdx", "rax"), dst));
    ops.setFlag("zf", equal);
    ops.when(ops.not(equal), () => {
      ops.setRegister("rax", ops.truncate(dst, 32));
      ops.setRegister("rdx", ops.truncate(ops.shiftRight(dst, 32), 32));
    });
    return ops.select(equal, replacement, dst);
  },
});

export const cmpxchg16b = instruction({
  mnemonic: "cmpxchg16b",
  source: "Intel SDM Vol. 2A, CMPXCHG8B/CMPXCHG16B",
  access: "rw",
  flags: { writes: "zf" },
  features: ["cx16"],
  forms: [form("0F C7 /1", "m128", { ...lockable, ...only64, rexW: true })],
  execute(ops, dst) {
    const low = ops.keep(ops.lane(64, dst, 0));
    const high = ops.keep(ops.lane(64, dst, 1));
    const replacement = ops.fromLanes([ops.register("rbx", 64), ops.register("rcx", 64)]);
    const equal = ops.keep(
      ops.and(ops.equal(ops.register("rax", 64), low), ops.equal(ops.register("rdx", 64), high)),
    );
    ops.setFlag("zf", equal);
    ops.when(ops.not(equal), () => {
      ops.setRegister("rax", low);
      ops.setRegister("rdx", high);
    });
    return ops.select(equal, replacement, dst);
  },
});

export const compareExchange = [cmpxchg, cmpxchgRegister, cmpxchg8b, cmpxchg16b] as const;
