import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";

/** All ones where the predicate holds. Of the immediate, the bits of `predicates` count: 0..2 (Intel SDM Vol. 2A, CMPPS). */
export function mask<V>(ops: Ops<V>, bits: 32 | 64, a: V, b: V, immediate: V, predicates = 7): V {
  const predicate = ops.and(ops.zeroExtend(immediate, 32), ops.constant(predicates, 32));
  const holds = ops.call(bits === 32 ? "f32Compare" : "f64Compare", a, b, predicate);
  return ops.negate(ops.zeroExtend(holds, bits));
}

function packed(mnemonic: string, bits: 32 | 64, opcode: string): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r r",
    unit: "sse",
    simdExceptions: true,
    forms: [form(opcode, "xmm, xmm/m128, imm8")],
    execute(ops, dst, src, immediate) {
      const lane = (i: number) => mask(ops, bits, ops.lane(bits, dst, i), ops.lane(bits, src, i), immediate);
      return ops.fromLanes(Array.from({ length: 128 / bits }, (_, i) => lane(i)));
    },
  });
}

function scalar(mnemonic: string, bits: 32 | 64, opcode: string): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r r",
    unit: "sse",
    simdExceptions: true,
    forms: [form(opcode, `xmm, xmm/m${bits}, imm8`)],
    execute(ops, dst, src, immediate) {
      return ops.withLane(dst, 0, mask(ops, bits, ops.lane(bits, dst, 0), ops.lane(bits, src, 0), immediate));
    },
  });
}

/** COMISx signals for quiet NaNs too; UCOMISx does not. The flags stay when an unmasked exception faults. */
function flags(mnemonic: string, bits: 32 | 64, opcode: string, signalling: 0 | 1): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "r r",
    flags: { writes: "cf pf af zf sf of" },
    unit: "sse",
    simdExceptions: true,
    forms: [form(opcode, `xmm, xmm/m${bits}`)],
    execute(ops, a, b) {
      const helper = bits === 32 ? "f32CompareFlags" : "f64CompareFlags";
      ops.perform(helper, ops.lane(bits, a, 0), ops.lane(bits, b, 0), ops.constant(signalling, 32));
    },
  });
}

/** Floating-point comparisons. */
export const sseCompare: readonly Instruction[] = [
  packed("cmppd", 64, "66 0F C2 /r"),
  packed("cmpps", 32, "NP 0F C2 /r"),
  scalar("cmpsd", 64, "F2 0F C2 /r"),
  scalar("cmpss", 32, "F3 0F C2 /r"),
  flags("comisd", 64, "66 0F 2F /r", 1),
  flags("comiss", 32, "NP 0F 2F /r", 1),
  flags("ucomisd", 64, "66 0F 2E /r", 0),
  flags("ucomiss", 32, "NP 0F 2E /r", 0),
];
