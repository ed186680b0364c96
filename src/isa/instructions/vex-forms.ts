import type { IsaFeature } from "../features.ts";
import { type Form, type FormAttributes, form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";

// The VEX rows of SSE instructions, made from their rows. An instruction that changes its first operand gets
// a third one: the value it starts from is VEX.vvvv's, and the first is only written. Memory needs no
// alignment, but for the moves that are about it, and what is written clears the bits above it.

export interface VexOptions {
  /** Extensions beside AVX and, but for the SSE ones, those of the SSE row. */
  readonly features?: readonly IsaFeature[];
  /** There is a row of 256 bits, of these extensions, which does in each half what 128 bits do. */
  readonly wide?: readonly IsaFeature[];
  /** In the upper half, the immediate counts from this bit on. */
  readonly immediateShift?: number;
}

/** Loads and stores that exist for their alignment. */
const ALIGNED = /^mov(ap[sd]|dqa|nt\w+)$/;
/** These act on the lowest lane: VEX.L does not count. */
const SCALAR = /^(?!p|insertps|extractps).*(ss|sd|si)$/;
/** The count of these shifts is 128 bits in memory whatever the operands are. */
const COUNTED = /^ps(ll|rl|ra)[wdq]$/;

/** The VEX rows of an SSE instruction. */
export function vex(source: Instruction, options: VexOptions = {}): Instruction[] {
  const features = source.features.filter((name) => !/^s?sse/.test(name));
  const common = [...features, ...(options.features ?? [])];
  const narrow = row(source, ["avx", ...common], 128, options);
  if (options.wide === undefined) return [narrow];
  return [narrow, row(source, [...options.wide, ...common], 256, options)];
}

function row(
  source: Instruction,
  features: readonly IsaFeature[],
  bits: 128 | 256,
  options: VexOptions,
): Instruction {
  const merges = source.access[0] === "rw" && source.forms[0]!.operands[0]!.startsWith("xmm");
  const [, ...others] = source.access;
  const access = merges ? ["w", "r", ...others] : source.access;
  const forms = source.forms.map((f) => vexForm(source.mnemonic, f, merges, bits));
  const isVector = forms[0]!.operands.map((o) => o.startsWith("ymm") || o === "m256");
  return instruction({
    mnemonic: `v${source.mnemonic}`,
    source: source.source,
    access: access.join(" "),
    flags: source.flags,
    unit: "avx",
    features,
    simdExceptions: source.simdExceptions,
    unaligned: !ALIGNED.test(source.mnemonic),
    forms,
    execute(ops, ...operands) {
      const run = (values: (typeof operands)[number][]) =>
        source.execute(ops, ...(merges ? values.slice(1) : values));
      if (bits === 128) return run(operands);
      const inHalf = (index: 0 | 1) =>
        run(
          operands.map((operand, i) => {
            if (access[i] === "w") return operand;
            if (isVector[i]) return ops.half(operand, index);
            const isImmediate = forms[0]!.operands[i] === "imm8" && options.immediateShift !== undefined;
            return isImmediate && index === 1 ? ops.shiftRight(operand, options.immediateShift!) : operand;
          }),
        ) as (typeof operands)[number];
      return ops.joined(inHalf(0), inHalf(1));
    },
  });
}

function vexForm(mnemonic: string, source: Form, merges: boolean, bits: 128 | 256): Form {
  const tokens = source.opcode.split(" ");
  const prefix = tokens.shift()!;
  tokens.shift();
  const map = tokens[0] === "38" || tokens[0] === "3A" ? tokens.shift()! : "";
  const [first, ...others] = source.operands;
  // Where ModRM.reg is part of the opcode, ModRM.rm is the source, and the destination VEX.vvvv.
  const isDigit = tokens.at(-1)!.startsWith("/") && tokens.at(-1) !== "/r";
  let operands = source.operands;
  if (merges) operands = isDigit ? ["xmm:v", ...source.operands] : [first!, "xmm:v", ...others];
  if (bits === 256) operands = operands.map((o, i) => (COUNTED.test(mnemonic) && i === 2 ? o : widened(o)));
  const length = bits === 256 ? "256" : SCALAR.test(mnemonic) ? "LIG" : "128";
  const parts = ["VEX", length, ...(prefix === "NP" ? [] : [prefix]), `0F${map}`, widthOf(source, operands)];
  const attributes: FormAttributes = source.size === undefined ? {} : { size: source.size };
  return form(`${parts.join(".")} ${tokens.join(" ")}`, operands.join(", "), attributes);
}

function widthOf({ rexW }: Form, operands: readonly string[]): string {
  if (rexW !== undefined) return rexW ? "W1" : "W0";
  return operands.some((o) => o.includes(":y")) ? "W" : "WIG";
}

const widened = (operand: string): string => operand.replace("xmm", "ymm").replace(/m(128|64)$/, "m256");

/** Applies to both halves of 256 bits. */
export function eachHalf<V>(ops: Ops<V>, values: readonly V[], apply: (...halves: V[]) => V): V {
  const inHalf = (index: 0 | 1) => apply(...values.map((value) => ops.half(value, index)));
  return ops.joined(inHalf(0), inHalf(1));
}
