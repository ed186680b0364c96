import { expect, test } from "vitest";
import type { Expr, FunctionBuilder, Label, Variable } from "./function-builder.ts";
import type { OpName } from "./opcodes.ts";
import { TestModule } from "./testing.ts";

/*
 * Random programs of blocks, loops, ifs, scopes and shared values, run by WebAssembly and by a plain
 * interpreter that computes every value anew. They agree only if no value is taken from where it was not
 * computed, and no local serves two purposes at once.
 */

type Value =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "parameter"; readonly index: number }
  | { readonly kind: "bound"; readonly id: number }
  | {
      readonly kind: "operation";
      readonly operation: string;
      readonly a: Value;
      readonly b: Value;
      readonly size: number;
    };

type Statement =
  | { readonly kind: "store"; readonly slot: number; readonly value: Value }
  | { readonly kind: "load"; readonly slot: number; readonly id: number }
  | { readonly kind: "bind"; readonly value: Value; readonly id: number }
  | { readonly kind: "get"; readonly variable: number; readonly id: number }
  | { readonly kind: "set"; readonly variable: number; readonly value: Value }
  | {
      readonly kind: "if";
      readonly condition: Value;
      readonly taken: Statement[];
      readonly otherwise: Statement[];
    }
  | { readonly kind: "block" | "scope"; readonly body: Statement[] }
  | { readonly kind: "loop"; readonly counter: number; readonly count: number; readonly body: Statement[] }
  | { readonly kind: "leave"; readonly level: number; readonly condition: Value };

const SLOTS = 8;
const VARIABLES = 3;
const PARAMETERS = 3;

const OPERATIONS: Readonly<Record<string, (a: number, b: number) => number>> = {
  "i32.add": (a, b) => (a + b) | 0,
  "i32.sub": (a, b) => (a - b) | 0,
  "i32.mul": Math.imul,
  "i32.and": (a, b) => a & b,
  "i32.xor": (a, b) => a ^ b,
  "i32.shr_u": (a, b) => (a >>> b) | 0,
  "i32.lt_s": (a, b) => Number(a < b),
  "i32.eq": (a, b) => Number(a === b),
};
const OPERATION_NAMES = Object.keys(OPERATIONS);

function sizeOf(value: Value): number {
  return value.kind === "operation" ? value.size : 1;
}

class ProgramGenerator {
  private state: number;
  private nextId = 0;
  private nextCounter = 0;
  /** The values that a statement here may use. */
  private readonly pool: Value[] = [];

  constructor(seed: number) {
    this.state = Math.imul(seed, 0x9e37_79b1) | 1;
    for (let index = 0; index < PARAMETERS; index++) this.pool.push({ kind: "parameter", index });
    for (const value of [0, 1, -1, 255]) this.pool.push({ kind: "constant", value });
  }

  /** The number of counters that the loops so far need. */
  get counters(): number {
    return this.nextCounter;
  }

  statements(depth: number, blocks: number): Statement[] {
    const list: Statement[] = [];
    for (let count = 1 + this.random(7); count > 0; count--) list.push(this.statement(depth, blocks));
    return list;
  }

  private random(limit: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }

  private value(): Value {
    const recent = this.pool.length > 12 && this.random(3) > 0 ? this.pool.length - 12 : 0;
    const pick = (): Value => this.pool[recent + this.random(this.pool.length - recent)] as Value;
    if (this.random(2) === 0) return pick();
    const operation = OPERATION_NAMES[this.random(OPERATION_NAMES.length)] as string;
    const [a, b] = [pick(), pick()];
    // The interpreter walks a value as a tree, which must not grow without bounds.
    const size = 1 + sizeOf(a) + sizeOf(b);
    if (size > 100) return a;
    const value: Value = { kind: "operation", operation, a, b, size };
    this.pool.push(value);
    return value;
  }

  private bound(): number {
    const id = this.nextId++;
    this.pool.push({ kind: "bound", id });
    return id;
  }

  /** Statements after which what they bound is out of reach. Values that need none of it stay in reach. */
  private nested(depth: number, blocks: number): Statement[] {
    const firstId = this.nextId;
    const list = this.statements(depth - 1, blocks);
    const needs = (value: Value): boolean =>
      value.kind === "bound"
        ? value.id >= firstId
        : value.kind === "operation" && (needs(value.a) || needs(value.b));
    const kept = this.pool.filter((value) => !needs(value));
    this.pool.splice(0, this.pool.length, ...kept);
    return list;
  }

  private statement(depth: number, blocks: number): Statement {
    switch (this.random(depth > 0 ? 14 : 8)) {
      case 0:
      case 1:
      case 2:
        return { kind: "store", slot: this.random(SLOTS), value: this.value() };
      case 3:
        return { kind: "load", slot: this.random(SLOTS), id: this.bound() };
      case 4: {
        const value = this.value();
        return { kind: "bind", value, id: this.bound() };
      }
      case 5:
        return { kind: "get", variable: this.random(VARIABLES), id: this.bound() };
      case 6:
        return { kind: "set", variable: this.random(VARIABLES), value: this.value() };
      case 7:
      case 8:
        if (blocks === 0) return { kind: "store", slot: this.random(SLOTS), value: this.value() };
        return { kind: "leave", level: this.random(blocks), condition: this.value() };
      case 9:
      case 10: {
        const condition = this.value();
        return {
          kind: "if",
          condition,
          taken: this.nested(depth, blocks),
          otherwise: this.nested(depth, blocks),
        };
      }
      case 11:
        return { kind: "block", body: this.nested(depth, blocks + 1) };
      case 12:
        return { kind: "scope", body: this.nested(depth, blocks) };
      default: {
        const counter = this.nextCounter++;
        return { kind: "loop", counter, count: 1 + this.random(3), body: this.nested(depth, blocks) };
      }
    }
  }
}

/** Runs a program as its text says. */
class ProgramInterpreter {
  readonly memory = new Int32Array(SLOTS);
  private readonly variables = new Int32Array(VARIABLES);
  private readonly bound = new Map<number, number>();
  private readonly parameters: readonly number[];

  constructor(parameters: readonly number[]) {
    this.parameters = parameters;
  }

  /** The number of the block that is left, or -1. */
  run(list: readonly Statement[], blocks: number): number {
    for (const statement of list) {
      const left = this.step(statement, blocks);
      if (left >= 0) return left;
    }
    return -1;
  }

  private step(statement: Statement, blocks: number): number {
    switch (statement.kind) {
      case "store":
        this.memory[statement.slot] = this.value(statement.value);
        return -1;
      case "load":
        this.bound.set(statement.id, this.memory[statement.slot] as number);
        return -1;
      case "bind":
        this.bound.set(statement.id, this.value(statement.value));
        return -1;
      case "get":
        this.bound.set(statement.id, this.variables[statement.variable] as number);
        return -1;
      case "set":
        this.variables[statement.variable] = this.value(statement.value);
        return -1;
      case "if":
        return this.run(
          this.value(statement.condition) !== 0 ? statement.taken : statement.otherwise,
          blocks,
        );
      case "scope":
        return this.run(statement.body, blocks);
      case "block": {
        const left = this.run(statement.body, blocks + 1);
        return left === blocks ? -1 : left;
      }
      case "loop": {
        for (let i = 0; i < statement.count; i++) {
          const left = this.run(statement.body, blocks);
          if (left >= 0) return left;
        }
        return -1;
      }
      case "leave":
        return this.value(statement.condition) !== 0 ? statement.level : -1;
    }
  }

  private value(value: Value): number {
    switch (value.kind) {
      case "constant":
        return value.value;
      case "parameter":
        return this.parameters[value.index] as number;
      case "bound":
        return this.bound.get(value.id) as number;
      case "operation":
        return (OPERATIONS[value.operation] as (a: number, b: number) => number)(
          this.value(value.a),
          this.value(value.b),
        );
    }
  }
}

/** Builds a program, with one expression for each of its values. */
class ProgramBuilder {
  private readonly f: FunctionBuilder;
  private readonly expressions = new Map<Value, Expr>();
  private readonly bound = new Map<number, Expr>();
  private readonly variables: Variable[];
  private readonly counters: Variable[];

  constructor(f: FunctionBuilder, counters: number) {
    this.f = f;
    this.variables = Array.from({ length: VARIABLES }, () => f.variable("i32", f.i32(0)));
    this.counters = Array.from({ length: counters }, () => f.variable("i32"));
  }

  build(list: readonly Statement[], labels: readonly Label[]): void {
    for (const statement of list) this.step(statement, labels);
  }

  private step(statement: Statement, labels: readonly Label[]): void {
    const { f } = this;
    switch (statement.kind) {
      case "store":
        f.store("i32.store", f.i32(0), this.value(statement.value), 4 * statement.slot);
        break;
      case "load":
        this.bound.set(statement.id, f.load("i32.load", f.i32(0), 4 * statement.slot));
        break;
      case "bind":
        this.bound.set(statement.id, f.bind(this.value(statement.value)));
        break;
      case "get":
        this.bound.set(statement.id, f.get(this.variables[statement.variable] as Variable));
        break;
      case "set":
        f.set(this.variables[statement.variable] as Variable, this.value(statement.value));
        break;
      case "if": {
        const then = (): void => this.build(statement.taken, labels);
        f.if(this.value(statement.condition), then, () => this.build(statement.otherwise, labels));
        break;
      }
      case "scope":
        f.scope(() => this.build(statement.body, labels));
        break;
      case "block":
        f.block((label) => this.build(statement.body, [...labels, label]));
        break;
      case "loop": {
        const counter = this.counters[statement.counter] as Variable;
        f.set(counter, f.i32(statement.count));
        f.loop((again) => {
          this.build(statement.body, labels);
          f.set(counter, f.op("i32.sub", f.getLazy(counter), f.i32(1)));
          f.brIf(again, f.getLazy(counter));
        });
        break;
      }
      case "leave":
        f.brIf(labels[statement.level] as Label, this.value(statement.condition));
        break;
    }
  }

  private value(value: Value): Expr {
    if (value.kind === "bound") return this.bound.get(value.id) as Expr;
    let e = this.expressions.get(value);
    if (e === undefined) {
      if (value.kind === "constant") e = this.f.i32(value.value);
      else if (value.kind === "parameter") e = this.f.parameter(value.index);
      else e = this.f.op(value.operation as OpName, this.value(value.a), this.value(value.b));
      this.expressions.set(value, e);
    }
    return e;
  }
}

const ARGUMENTS = [
  [0, 0, 0],
  [1, -1, 7],
  [-0x8000_0000, 255, 3],
] as const;

function expectAgreement(seed: number): void {
  const generator = new ProgramGenerator(seed);
  const program = generator.statements(4, 0);
  const module = new TestModule().add("f", ["i32", "i32", "i32"], [], (f) =>
    new ProgramBuilder(f, generator.counters).build(program, []),
  );
  for (const args of ARGUMENTS) {
    const interpreter = new ProgramInterpreter(args);
    interpreter.run(program, 0);
    for (let slot = 0; slot < SLOTS; slot++) module.bytes.setInt32(4 * slot, 0, true);
    module.run("f")(...args);
    const memory = Array.from({ length: SLOTS }, (_, slot) => module.bytes.getInt32(4 * slot, true));
    expect({ seed, memory }).toEqual({ seed, memory: [...interpreter.memory] });
  }
}

test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
  "random programs, part %d: built code does what they say",
  (part) => {
    for (let i = 0; i < 50; i++) expectAgreement(part * 1000 + i);
  },
);
