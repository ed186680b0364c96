import binaryen from "binaryen";
import { expect, test } from "vitest";
import { FunctionBuilder } from "./function-builder.ts";
import { ModuleWriter } from "./module-writer.ts";
import { OPCODES, type Opcode, type OpName } from "./opcodes.ts";

const names = Object.keys(OPCODES) as OpName[];
const opcodes: Readonly<Record<string, Opcode>> = OPCODES;
const lanes = Uint8Array.from({ length: 16 }, (_, i) => (i * 7) % 32);

/** One function that uses the instruction on its parameters. */
function moduleUsing(name: OpName): Uint8Array<ArrayBuffer> {
  const opcode = opcodes[name] as Opcode;
  const type = { params: opcode.operands, results: opcode.result === undefined ? [] : [opcode.result] };
  const module = new ModuleWriter();
  module.importMemory("", "memory", { initialPages: 1, maximumPages: 2, shared: true });
  const f = new FunctionBuilder(type);
  const [a, b, c] = opcode.operands.map((_, i) => f.parameter(i));
  const args = opcode.operands.map((_, i) => f.parameter(i));
  const result = ((): unknown => {
    switch (`${opcode.class} ${opcode.immediate}`) {
      case "pure none":
        return f.op(name, ...args);
      case "pure lane":
        return f.opImm(name, opcode.lanes - 1, ...args);
      case "pure shuffle":
        return f.opImm(name, lanes, ...args);
      case "load memory":
        return f.load(name, a!, 300);
      case "store memory":
        return f.store(name, a!, b!, 300);
      case "load memory-lane":
        return f.loadLane(name, a!, b!, opcode.lanes - 1, 300);
      case "store memory-lane":
        return f.storeLane(name, a!, b!, opcode.lanes - 1, 300);
      case "atomic memory":
        return f.atomic(name, a!, 296, ...args.slice(1));
      case "atomic fence":
        return f.atomicFence();
      case "bulk memory-pair":
        return f.memoryCopy(a!, b!, c!);
      case "constant i32":
        return f.i32(-77);
      case "constant i64":
        return f.i64(-0x1234_5678_9abcn);
      case "constant f32":
        return f.f32(1.5);
      case "constant f64":
        return f.f64(-2.25);
      case "constant v128":
        return f.v128(lanes);
    }
    if (name === "memory.fill") return f.memoryFill(a!, b!, c!);
    return name === "memory.grow" ? f.memoryGrow(a!) : f.memorySize();
  })();
  f.return(...(opcode.result === undefined ? [] : [result as ReturnType<typeof f.i32>]));
  const ref = module.declareFunction(name, type);
  module.defineFunction(ref, f);
  module.exportFunction("f", ref);
  return module.finish();
}

const plain = names.filter((name) => OPCODES[name].class !== "control");

test.each(plain)("%s is valid with the operands and the result of the table", (name) => {
  expect(WebAssembly.validate(moduleUsing(name))).toBe(true);
});

test.each(plain)("%s is read under the same name by Binaryen", (name) => {
  const module = binaryen.readBinary(moduleUsing(name));
  module.setFeatures(binaryen.Features.All);
  expect(`${module.emitText()} `).toMatch(new RegExp(`\\(${name.replaceAll(".", "\\.")}[ )\\n]`));
  module.dispose();
});

test("the table has every instruction of the proposals in use", () => {
  const count = (prefix: number): number => names.filter((name) => OPCODES[name].prefix === prefix).length;
  expect([count(0), count(0xfc), count(0xfd), count(0xfe)]).toEqual([179, 10, 236, 67]);
});

test("no two instructions share an encoding", () => {
  const encodings = new Set(names.map((name) => OPCODES[name].prefix * 0x1000 + OPCODES[name].code));
  expect(encodings.size).toBe(names.length);
});
