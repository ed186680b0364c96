// Rows from the manuals: Intel SDM volume 1, "Programming with the x87 FPU"; volume 2, the images of FSTENV.
import { beforeEach, describe, expect, test } from "vitest";
import { CR0, FAULT_VECTOR, X87_EMPTY, X87_FCW, X87_FSW, X87_TOP } from "../../../src/layout/cpu-state.ts";
import { SCRATCH } from "../../../src/layout/memory-map.ts";
import { loadFloatCore } from "./float-core.ts";
import { describeRegister, IMAGE_ADDRESS } from "./x87-state.ts";

const core = loadFloatCore();
const run = core.functions;
const STATUS_OK = 0;
const STATUS_FAULT = 1;
const STORED = SCRATCH + 40;
const KEPT = SCRATCH + 56;
const IE = 0x01;
const ZE = 0x04;
const SF = 0x40;
const ES_AND_B = 0x8080;
const C1 = 0x200;
const C2 = 0x400;
const ONE = 0x3ff0000000000000n;
const ZERO = 0n;

/** ST(i) as sign and exponent, then significand. */
function st(i: number): string {
  run["x87WriteState"]!(IMAGE_ADDRESS, 32, 1);
  return describeRegister(core.memory, IMAGE_ADDRESS + 28 + 10 * i);
}

beforeEach(() => {
  core.write(CR0, 0);
  core.write(FAULT_VECTOR, -1);
  run["x87Initialise"]!();
});

describe("the register stack", () => {
  test("FNINIT leaves FCW 037F and all registers empty", () => {
    expect(core.read(X87_FCW)).toBe(0x37f);
    expect(run["x87StoreStatus"]!()).toBe(0);
    expect(run["x87TagWord"]!()).toBe(0xffff);
  });

  test("a load pushes: TOP goes from 0 to 7", () => {
    expect(run["x87Load64"]!(ONE)).toBe(STATUS_OK);
    expect(core.read(X87_TOP)).toBe(7);
    expect(run["x87StoreStatus"]!()).toBe(0x3800);
    expect(st(0)).toBe("3fff:8000000000000000");
  });

  test("a ninth load overflows: IE, SF, C1 and the indefinite NaN", () => {
    for (let n = 0; n < 9; n++) run["x87LoadConstant"]!(0);
    expect(core.read(X87_FSW)).toBe(IE | SF | C1);
    expect(st(0)).toBe("ffff:c000000000000000");
  });

  test("an operation on an empty register underflows: IE and SF without C1", () => {
    run["x87LoadConstant"]!(0);
    run["x87Arith"]!(0, 0, 1, 0);
    expect(core.read(X87_FSW)).toBe(IE | SF);
    expect(st(0)).toBe("ffff:c000000000000000");
  });

  test("unmasked, an overflow leaves the stack as it was", () => {
    for (let n = 0; n < 8; n++) run["x87LoadConstant"]!(6);
    run["x87LoadControl"]!(0x37e);
    run["x87LoadConstant"]!(0);
    expect(core.read(X87_FSW)).toBe(ES_AND_B | IE | SF | C1);
    expect(core.read(X87_TOP)).toBe(0);
  });
});

describe("pending exceptions and availability", () => {
  test("an unmasked exception faults at the next waiting instruction, not at its own", () => {
    run["x87LoadControl"]!(0x37b);
    run["x87Load64"]!(ONE);
    expect(run["x87Arith64"]!(6, ZERO)).toBe(STATUS_OK);
    expect(core.read(X87_FSW)).toBe(ES_AND_B | ZE);
    expect(st(0)).toBe("3fff:8000000000000000");
    expect(run["x87LoadConstant"]!(0)).toBe(STATUS_FAULT);
    expect(core.read(FAULT_VECTOR)).toBe(16);
  });

  test("FNCLEX ends it", () => {
    run["x87LoadControl"]!(0x37b);
    run["x87Load64"]!(ONE);
    run["x87Arith64"]!(6, ZERO);
    run["x87ClearExceptions"]!();
    expect(run["x87Check"]!()).toBe(STATUS_OK);
  });

  test("FLDCW that unmasks a raised exception makes it pending", () => {
    run["x87Load64"]!(ONE);
    run["x87Arith64"]!(6, ZERO);
    expect(run["x87LoadControl"]!(0x37b)).toBe(STATUS_OK);
    expect(run["x87Check"]!()).toBe(STATUS_FAULT);
  });

  test.each([
    ["TS", 1 << 3],
    ["EM", 1 << 2],
  ])("CR0.%s is #NM", (_name, cr0) => {
    core.write(CR0, cr0);
    expect(run["x87Check"]!()).toBe(STATUS_FAULT);
    expect(core.read(FAULT_VECTOR)).toBe(7);
  });
});

describe("arithmetic", () => {
  test("1 / 3 in the precision of each PC", () => {
    const quotient = (control: number): string => {
      run["x87Initialise"]!();
      run["x87LoadControl"]!(control);
      run["x87Load64"]!(ONE);
      run["x87ArithI32"]!(6, 3);
      return st(0);
    };
    expect(quotient(0x07f)).toBe("3ffd:aaaaab0000000000");
    expect(quotient(0x27f)).toBe("3ffd:aaaaaaaaaaaaa800");
    expect(quotient(0x37f)).toBe("3ffd:aaaaaaaaaaaaaaab");
  });

  test("the NaN with the larger significand wins", () => {
    run["x87Load80"]!(0xc000000000000005n, 0x7fff);
    run["x87Load80"]!(0xc000000000000003n, 0xffff);
    run["x87Arith"]!(0, 0, 1, 0);
    expect(st(0)).toBe("7fff:c000000000000005");
  });

  test("an unnormal operand is invalid", () => {
    run["x87Load80"]!(0x4000000000000000n, 0x4000);
    run["x87Arith"]!(0, 0, 0, 0);
    expect(st(0)).toBe("ffff:c000000000000000");
    expect(core.read(X87_FSW)).toBe(IE);
  });

  test("FPREM of operands far apart is partial and sets C2", () => {
    run["x87Load64"]!(0x4008000000000000n);
    run["x87Load64"]!(0x7e37e43c8800759cn);
    run["x87Remainder"]!(0);
    expect(core.read(X87_FSW) & C2).toBe(C2);
  });

  test("FSIN of 2^63 is out of range: C2, operand unchanged", () => {
    run["x87Load64"]!(0x43e0000000000000n);
    run["x87Sine"]!();
    expect(core.read(X87_FSW)).toBe(C2);
    expect(st(0)).toBe("403e:8000000000000000");
  });

  test("FSIN of the 64-bit pi shows a pi of 66 bits", () => {
    run["x87LoadConstant"]!(3);
    run["x87Sine"]!();
    expect(st(0)).toBe("bfbf:8000000000000000");
  });
});

describe("stores in two steps", () => {
  test("preparing changes neither flags nor stack", () => {
    run["x87LoadConstant"]!(3);
    expect(run["x87PrepareStore32"]!()).toBe(STATUS_OK);
    expect(core.memory.getUint32(STORED, true)).toBe(0x40490fdb);
    expect(core.read(X87_FSW)).toBe(0);
    expect(core.read(X87_TOP)).toBe(7);
    expect(run["x87FinishStore"]!(1)).toBe(STATUS_OK);
    expect(core.read(X87_FSW)).toBe(0x220);
    expect(core.read(X87_EMPTY)).toBe(0xff);
  });

  test("an unmasked invalid operation completes without a store", () => {
    run["x87LoadControl"]!(0x37e);
    run["x87Load64"]!(0x7ff0000000000000n);
    expect(run["x87PrepareStoreI32"]!()).toBe(STATUS_OK);
    expect(core.memory.getInt32(KEPT, true)).not.toBe(0);
    expect(run["x87FinishStore"]!(1)).toBe(STATUS_OK);
    expect(core.read(X87_FSW)).toBe(ES_AND_B | IE);
    expect(core.read(X87_TOP)).toBe(7);
  });

  test("FBSTP writes 18 digits and the sign", () => {
    run["x87LoadI64"]!(-1234567890123456n);
    run["x87PrepareStoreBcd"]!();
    expect(core.memory.getBigUint64(STORED, true)).toBe(0x1234567890123456n);
    expect(core.memory.getUint16(STORED + 8, true)).toBe(0x8000);
  });
});

describe("environment images", () => {
  const pointers = (): void => {
    run["x87SetPointers"]!(0x5d9, 0x12345678n, 1, 0x9abcdef0n);
  };
  const words = (count: number): string[] =>
    Array.from({ length: count }, (_, n) => core.memory.getUint16(IMAGE_ADDRESS + 2 * n, true).toString(16));
  const doublewords = (count: number): string[] =>
    Array.from({ length: count }, (_, n) => core.memory.getUint32(IMAGE_ADDRESS + 4 * n, true).toString(16));

  test("32-bit protected mode", () => {
    pointers();
    run["x87WriteEnvironment"]!(IMAGE_ADDRESS, 32, 1);
    expect(doublewords(7)).toEqual([
      "ffff037f",
      "ffff0000",
      "ffffffff",
      "12345678",
      "5d90000",
      "9abcdef0",
      "ffff0000",
    ]);
  });

  test("16-bit protected mode", () => {
    pointers();
    run["x87WriteEnvironment"]!(IMAGE_ADDRESS, 16, 1);
    expect(words(7)).toEqual(["37f", "0", "ffff", "5678", "0", "def0", "0"]);
  });

  test("32-bit real mode", () => {
    pointers();
    run["x87WriteEnvironment"]!(IMAGE_ADDRESS, 32, 0);
    expect(doublewords(7)).toEqual([
      "ffff037f",
      "ffff0000",
      "ffffffff",
      "ffff5678",
      "12345d9",
      "ffffdef0",
      "9abc000",
    ]);
  });

  test("16-bit real mode", () => {
    pointers();
    run["x87WriteEnvironment"]!(IMAGE_ADDRESS, 16, 0);
    expect(words(7)).toEqual(["37f", "0", "ffff", "5678", "45d9", "def0", "c000"]);
  });

  test.each([
    [16, 0],
    [16, 1],
    [32, 0],
    [32, 1],
  ])("%i-bit state (protected %i) reads back what was written", (bits, protectedMode) => {
    pointers();
    run["x87LoadConstant"]!(3);
    run["x87LoadConstant"]!(6);
    run["x87WriteState"]!(IMAGE_ADDRESS + 0x100, bits, protectedMode);
    run["x87Initialise"]!();
    run["x87ReadState"]!(IMAGE_ADDRESS + 0x100, bits, protectedMode);
    expect([st(0), st(1)]).toEqual(["0000:0000000000000000", "4000:c90fdaa22168c235"]);
    expect(run["x87TagWord"]!()).toBe(0x1fff);
    expect(run["x87StoreStatus"]!()).toBe(0x3000);
  });

  test("FNSTENV masks all exceptions", () => {
    run["x87LoadControl"]!(0x340);
    run["x87FinishEnvironment"]!();
    expect(core.read(X87_FCW)).toBe(0x37f);
  });
});

describe("MMX", () => {
  test("an MMX instruction makes TOP 0 and all registers valid; a write sets the exponent", () => {
    run["x87LoadConstant"]!(0);
    run["mmxEnter"]!();
    run["mmxWritten"]!(3);
    expect(core.read(X87_TOP)).toBe(0);
    expect(core.read(X87_EMPTY)).toBe(0);
    expect(st(3).slice(0, 4)).toBe("ffff");
  });

  test("EMMS empties all registers", () => {
    run["mmxEnter"]!();
    run["mmxEmpty"]!();
    expect(core.read(X87_EMPTY)).toBe(0xff);
  });
});
