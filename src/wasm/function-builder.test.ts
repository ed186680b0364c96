import { describe, expect, test } from "vitest";
import { FunctionBuilder } from "./function-builder.ts";
import { TestModule, testFunction } from "./testing.ts";
import { dumpModule } from "./text-dump.ts";
import type { ValueType } from "./value-type.ts";

/** The instructions of a function, without indentation. */
function instructions(
  params: ValueType[],
  results: ValueType[],
  build: (f: FunctionBuilder) => void,
): string[] {
  const text = dumpModule(new TestModule().add("f", params, results, build).writer.finish());
  const lines = text
    .slice(text.indexOf("  (func $f (;"))
    .split("\n")
    .map((line) => line.trim());
  return lines.slice(1, -3).filter((line) => !line.startsWith("(local"));
}

const count = (lines: readonly string[], instruction: string): number =>
  lines.filter((line) => line.startsWith(instruction)).length;

describe("a value used several times", () => {
  test("is computed once, at its first use", () => {
    expect(
      instructions(["i32", "i32"], [], (f) => {
        const product = f.op("i32.mul", f.parameter(0), f.parameter(1));
        f.store("i32.store", product, product);
        f.store("i32.store", f.i32(4), product);
      }),
    ).toEqual([
      "local.get 0",
      "local.get 1",
      "i32.mul",
      "local.tee 2",
      "local.get 2",
      "i32.store",
      "i32.const 4",
      "local.get 2",
      "i32.store",
    ]);
  });

  test("is not computed if it is never used", () => {
    expect(instructions(["i32"], [], (f) => void f.op("i32.popcnt", f.parameter(0)))).toEqual([]);
  });

  test("needs no local if it is used once", () => {
    const lines = instructions(["i32"], ["i32"], (f) => f.return(f.op("i32.popcnt", f.parameter(0))));
    expect(lines).toEqual(["local.get 0", "i32.popcnt", "return", "unreachable"]);
  });

  test("is computed in each arm of an if, and again after it", () => {
    const build = (f: FunctionBuilder): void => {
      const value = f.op("i32.popcnt", f.parameter(1));
      f.if(
        f.parameter(0),
        () => f.store("i32.store", f.i32(0), value),
        () => f.store("i32.store", f.i32(4), value),
      );
      f.return(value);
    };
    expect(count(instructions(["i32", "i32"], ["i32"], build), "i32.popcnt")).toBe(3);
    expect(testFunction(["i32", "i32"], ["i32"], build)(0, 7)).toBe(3);
  });

  test("is reused in the arms of an if when it was computed before", () => {
    const lines = instructions(["i32", "i32"], [], (f) => {
      const value = f.op("i32.popcnt", f.parameter(1));
      f.if(
        value,
        () => f.store("i32.store", f.i32(0), value),
        () => f.store("i32.store", f.i32(4), value),
      );
    });
    expect(count(lines, "i32.popcnt")).toBe(1);
  });

  test("is still there behind a block when it was computed before every branch out of the block", () => {
    const build = (f: FunctionBuilder): void => {
      const value = f.op("i32.popcnt", f.parameter(1));
      f.block((label) => f.brIf(label, value));
      f.return(value);
    };
    expect(count(instructions(["i32", "i32"], ["i32"], build), "i32.popcnt")).toBe(1);
    expect(testFunction(["i32", "i32"], ["i32"], build)(0, 7)).toBe(3);
  });

  test("is computed again behind a block when a branch may have skipped it", () => {
    const build = (f: FunctionBuilder): void => {
      const value = f.op("i32.popcnt", f.parameter(1));
      f.block((label) => {
        f.brIf(label, f.parameter(0));
        f.store("i32.store", f.i32(0), value);
      });
      f.return(value);
    };
    expect(count(instructions(["i32", "i32"], ["i32"], build), "i32.popcnt")).toBe(2);
    expect(testFunction(["i32", "i32"], ["i32"], build)(1, 7)).toBe(3);
  });

  test("is still there behind a loop that computed it", () => {
    const lines = instructions(["i32"], ["i32"], (f) => {
      const value = f.op("i32.popcnt", f.parameter(0));
      f.loop((label) => f.brIf(label, value));
      f.return(value);
    });
    expect(count(lines, "i32.popcnt")).toBe(1);
  });
});

describe("a local", () => {
  test("bound in a scope serves again after the scope", () => {
    const lines = instructions([], [], (f) => {
      for (let i = 0; i < 3; i++) {
        f.scope(() => f.store("i32.store", f.i32(0), f.load("i32.load", f.i32(4))));
      }
    });
    expect(lines.filter((line) => line.startsWith("local."))).toEqual(
      Array(3).fill(["local.set 0", "local.get 0"]).flat(),
    );
  });

  test("that a scope has used is not given to a value computed before the scope", () => {
    const run = testFunction(["i32"], ["i32"], (f) => {
      const early = f.op("i32.popcnt", f.parameter(0));
      f.store("i32.store", f.i32(0), early);
      f.scope(() => f.store("i32.store", f.i32(8), f.load("i32.load", f.i32(4))));
      f.return(early);
    });
    expect(run(0xff)).toBe(8);
  });

  test("may not be read after its scope", () => {
    const f = new FunctionBuilder({ params: [], results: [] });
    let loaded = f.i32(0);
    f.scope(() => {
      loaded = f.load("i32.load", f.i32(4));
    });
    expect(() => f.store("i32.store", f.i32(0), loaded)).toThrow("after the end of its scope");
  });

  test("keeps the value of a variable at the time of the get", () => {
    const run = testFunction(["i32"], ["i32"], (f) => {
      const variable = f.variable("i32", f.parameter(0));
      const before = f.get(variable);
      f.set(variable, f.op("i32.add", f.getLazy(variable), f.i32(1)));
      f.return(f.op("i32.sub", f.op("i32.mul", f.getLazy(variable), f.i32(100)), before));
    });
    expect(run(5)).toBe(595);
  });
});

test("bind computes a value now, and leaves constants and bound values as they are", () => {
  const lines = instructions(["i32"], [], (f) => {
    const variable = f.variable("i32", f.parameter(0));
    const bound = f.bind(f.op("i32.popcnt", f.parameter(0)));
    expect(f.bind(bound)).toBe(bound);
    expect(f.bind(f.parameter(0))).toBe(f.parameter(0));
    const constant = f.i32(1);
    expect(f.bind(constant)).toBe(constant);
    expect(f.bind(f.getLazy(variable))).not.toBe(f.getLazy(variable));
  });
  expect(lines).toEqual([
    "local.get 0",
    "local.set 1",
    "local.get 0",
    "i32.popcnt",
    "local.set 2",
    "local.get 1",
    "local.set 2",
  ]);
});

test("a bound value that is wanted at once stays on the stack", () => {
  const lines = instructions(["i32"], [], (f) => {
    const bound = f.bind(f.op("i32.popcnt", f.parameter(0)));
    f.store("i32.store", bound, bound);
  });
  expect(lines).toEqual(["local.get 0", "i32.popcnt", "local.tee 1", "local.get 1", "i32.store"]);
});

test("effects stay in order", () => {
  const run = testFunction([], ["i32"], (f) => {
    const before = f.load("i32.load", f.i32(0));
    f.store("i32.store", f.i32(0), f.i32(77));
    const after = f.load("i32.load", f.i32(0));
    f.return(f.op("i32.sub", after, before));
  });
  expect(run()).toBe(77);
});

test("br_table goes to the label of the index, or to the fallback", () => {
  const run = testFunction(["i32"], ["i32"], (f) => {
    f.block((other) => {
      f.block((one) => {
        f.block((zero) => f.brTable(f.parameter(0), [zero, one], other));
        f.return(f.i32(100));
      });
      f.return(f.i32(101));
    });
    f.return(f.i32(199));
  });
  expect([run(0), run(1), run(2), run(-1)]).toEqual([100, 101, 199, 199]);
});

test("a loop runs until it is left", () => {
  const run = testFunction(["i32"], ["i32"], (f) => {
    const left = f.variable("i32", f.parameter(0));
    const sum = f.variable("i32", f.i32(0));
    f.block((done) =>
      f.loop((again) => {
        f.brIf(done, f.op("i32.eqz", f.getLazy(left)));
        f.set(sum, f.op("i32.add", f.getLazy(sum), f.getLazy(left)));
        f.set(left, f.op("i32.sub", f.getLazy(left), f.i32(1)));
        f.br(again);
      }),
    );
    f.return(f.getLazy(sum));
  });
  expect(run(100)).toBe(5050);
});

test("branch hints stand at their branches, after what sharing puts in front of them", () => {
  const lines = instructions(["i32"], [], (f) => {
    const value = f.op("i32.popcnt", f.parameter(0));
    f.block((label) => {
      f.brIf(label, value, "likely");
      f.brIf(label, f.op("i32.eqz", value));
      f.if(f.op("i32.ctz", value), () => f.store("i32.store", f.i32(0), value), undefined, "unlikely");
    });
  });
  expect(lines.filter((line) => /^(br_if|if)/.test(line))).toEqual([
    "br_if 0 ;; likely",
    "br_if 0",
    "if ;; unlikely",
  ]);
});

test("bulk memory instructions copy and fill", () => {
  const module = new TestModule().add("f", [], ["i32"], (f) => {
    f.memoryFill(f.i32(0), f.i32(0xab), f.i32(8));
    f.memoryCopy(f.i32(100), f.i32(4), f.i32(8));
    f.return(f.memorySize());
  });
  expect(module.run("f")()).toBe(1);
  expect(module.bytes.getBigUint64(100)).toBe(0xabab_abab_0000_0000n);
});

test("atomic accesses read, modify and write", () => {
  const module = new TestModule().add("f", [], ["i32"], (f) => {
    f.atomic("i32.atomic.store", f.i32(0), 8, f.i32(40));
    const old = f.atomic("i32.atomic.rmw.add", f.i32(0), 8, f.i32(2));
    f.atomicFence();
    const swapped = f.atomic("i32.atomic.rmw8.cmpxchg_u", f.i32(0), 8, f.i32(42), f.i32(50));
    const now = f.atomic("i32.atomic.load", f.i32(0), 8);
    f.return(
      f.op(
        "i32.add",
        f.op("i32.mul", old, f.i32(10000)),
        f.op("i32.add", f.op("i32.mul", swapped, f.i32(100)), now),
      ),
    );
  });
  expect(module.run("f")()).toBe(40_4250);
});

describe("a mistake of the caller is refused", () => {
  const refused = (build: (f: FunctionBuilder) => void) => () => testFunction(["i32"], [], build);

  test("wrong operand types", () => {
    expect(refused((f) => f.op("i64.add", f.parameter(0), f.i64(1n)))).toThrow(
      "i64.add takes (i64 i64), not (i32 i64)",
    );
  });
  test("a missing operand", () => {
    expect(refused((f) => f.op("i32.add", f.parameter(0)))).toThrow("i32.add takes (i32 i32), not (i32)");
  });
  test("a load among operations", () => {
    expect(refused((f) => f.op("i32.load", f.parameter(0)))).toThrow("i32.load is no plain operation");
  });
  test("a load as a store", () => {
    expect(refused((f) => f.store("i32.load", f.parameter(0), f.parameter(0)))).toThrow("i32.load");
  });
  test("a branch to a label from outside of it", () => {
    expect(
      refused((f) => {
        let outer: Parameters<typeof f.br>[0] | undefined;
        f.block((label) => {
          outer = label;
        });
        f.br(outer as Parameters<typeof f.br>[0]);
      }),
    ).toThrow("a label that it is not within");
  });
});
