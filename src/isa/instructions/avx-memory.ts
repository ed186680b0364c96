import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { wrapAddress } from "./data-transfer.ts";
import { sdm } from "./sse2-packed-forms.ts";

// Accesses to chosen elements: masked moves and gathers. What is not chosen does not fault.

type ElementBits = 32 | 64;

const isChosen = <V>(ops: Ops<V>, bits: ElementBits, mask: V, lane: number): V =>
  ops.zeroExtend(ops.bit(ops.lane(bits, mask, lane), bits - 1), 32);

function loadElement<V>(ops: Ops<V>, bits: ElementBits, address: V, wanted: V): V {
  return ops.truncate(ops.query("loadElement", address, ops.constant(bits / 8, 32), wanted), bits);
}

/** The chosen elements of memory, and zeros. */
function loadChosen<V>(ops: Ops<V>, bits: ElementBits, address: V, mask: V): V {
  const lanes = Array.from({ length: 128 / bits }, (_, i) => {
    const at = ops.add(address, ops.constant((i * bits) / 8, 64));
    return ops.keep(loadElement(ops, bits, at, isChosen(ops, bits, mask, i)));
  });
  return ops.fromLanes(lanes);
}

const quarters = <V>(ops: Ops<V>, half: V): [V, V] => [ops.lane(64, half, 0), ops.lane(64, half, 1)];

function storeChosen<V>(ops: Ops<V>, bits: ElementBits, address: V, src: readonly V[], signs: V): void {
  const zero = ops.constant(0, 64);
  const [a, b, c, d] = src.flatMap((half) => quarters(ops, half));
  ops.system("storeElements", address, a!, b!, c ?? zero, d ?? zero, ops.constant(bits / 8, 32), signs);
}

/** VMASKMOVPS and its like: loads and stores of 128 and 256 bits. */
function maskedMove(
  mnemonic: string,
  bits: ElementBits,
  feature: "avx" | "avx2",
  rules: string,
  load: string,
  store: string,
): Instruction[] {
  const common = {
    mnemonic,
    source: sdm(mnemonic.startsWith("vp") ? "VPMASKMOV" : "VMASKMOV"),
    unit: "avx",
    features: [feature],
  } as const;
  const halves = [0, 1] as const;
  return [
    instruction({
      ...common,
      access: "w r r",
      forms: [form(`VEX.128.${rules} ${load} /r`, "xmm, xmm:v, m")],
      execute(ops, _dst, mask, address) {
        return loadChosen(ops, bits, address, mask);
      },
    }),
    instruction({
      ...common,
      access: "w r r",
      forms: [form(`VEX.256.${rules} ${load} /r`, "ymm, ymm:v, m")],
      execute(ops, _dst, mask, address) {
        const [low, high] = halves.map((i) =>
          loadChosen(ops, bits, ops.add(address, ops.constant(16 * i, 64)), ops.half(mask, i)),
        );
        return ops.joined(low!, high!);
      },
    }),
    instruction({
      ...common,
      access: "r r r",
      forms: [form(`VEX.128.${rules} ${store} /r`, "m, xmm:v, xmm")],
      execute(ops, address, mask, src) {
        storeChosen(ops, bits, address, [src], ops.laneSigns(bits, mask));
      },
    }),
    instruction({
      ...common,
      access: "r r r",
      forms: [form(`VEX.256.${rules} ${store} /r`, "m, ymm:v, ymm")],
      execute(ops, address, mask, src) {
        const [low, high] = halves.map((i) => ops.laneSigns(bits, ops.half(mask, i)));
        const signs = ops.or(low!, ops.shiftLeft(high!, 128 / bits));
        storeChosen(ops, bits, address, [ops.half(src, 0), ops.half(src, 1)], signs);
      },
    }),
  ];
}

/** The lanes of one or two vectors in a row. */
function lanesOf<V>(ops: Ops<V>, bits: ElementBits, v: V, isWide: boolean): V[] {
  const halves = isWide ? [ops.half(v, 0), ops.half(v, 1)] : [v];
  return halves.flatMap((half) => Array.from({ length: 128 / bits }, (_, i) => ops.lane(bits, half, i)));
}

/**
 * A gather: elements at base + index * scale. It faults as a whole, where processors may have finished some
 * elements and cleared their masks.
 */
function gather(
  mnemonic: string,
  opcode: string,
  data: ElementBits,
  index: ElementBits,
  isWide: boolean,
): Instruction {
  const bits = isWide ? 256 : 128;
  // The wider of the two kinds of lanes fills the vectors.
  const count = bits / Math.max(data, index);
  const isDataWide = count * data === 256;
  const isIndexWide = count * index === 256;
  const register = isDataWide ? "ymm" : "xmm";
  const rule = `VEX.${bits}.66.0F38.${data === 64 ? "W1" : "W0"}`;
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r r rw",
    unit: "avx",
    features: ["avx2"],
    forms: [
      form(`${rule} ${opcode} /r`, `${register}, vsib:${isIndexWide ? "y" : "x"}, ${register}:v`, {
        offsetOnly: true,
        addressPrefixes: true,
      }),
    ],
    execute(ops, dst, base, indices, mask) {
      const scale = ops.indexScale();
      const numbers = lanesOf(ops, index, indices, isIndexWide).slice(0, count);
      const masks = lanesOf(ops, data, mask, isDataWide).slice(0, count);
      const old = lanesOf(ops, data, dst, isDataWide).slice(0, count);
      const loaded = numbers.map((number, i) => {
        const offset = ops.add(base, ops.shiftLeft(ops.signExtend(number, 64), scale));
        const address = ops.dataSegmented(wrapAddress(ops, offset), data / 8, "read");
        const chosen = ops.bit(masks[i]!, data - 1);
        const element = loadElement(ops, data, address, ops.zeroExtend(chosen, 32));
        return ops.keep(ops.select(chosen, element, old[i]!));
      });
      const zero = ops.constant(0, 128);
      const filled = (from: number) => {
        const part = loaded.slice(from, from + 128 / data);
        while (part.length < 128 / data) part.push(ops.constant(0, data));
        return ops.fromLanes(part);
      };
      if (!isDataWide) return [filled(0), zero];
      return [ops.joined(filled(0), filled(128 / data)), ops.joined(zero, zero)];
    },
  });
}

const GATHERS: readonly (readonly [string, string, ElementBits, ElementBits])[] = [
  ["vpgatherdd", "90", 32, 32],
  ["vpgatherdq", "90", 64, 32],
  ["vpgatherqd", "91", 32, 64],
  ["vpgatherqq", "91", 64, 64],
  ["vgatherdps", "92", 32, 32],
  ["vgatherdpd", "92", 64, 32],
  ["vgatherqps", "93", 32, 64],
  ["vgatherqpd", "93", 64, 64],
];

export const avxMemory: readonly Instruction[] = [
  ...maskedMove("vmaskmovps", 32, "avx", "66.0F38.W0", "2C", "2E"),
  ...maskedMove("vmaskmovpd", 64, "avx", "66.0F38.W0", "2D", "2F"),
  ...maskedMove("vpmaskmovd", 32, "avx2", "66.0F38.W0", "8C", "8E"),
  ...maskedMove("vpmaskmovq", 64, "avx2", "66.0F38.W1", "8C", "8E"),
  ...GATHERS.flatMap(([mnemonic, opcode, data, index]) =>
    [false, true].map((isWide) => gather(mnemonic, opcode, data, index, isWide)),
  ),
];
