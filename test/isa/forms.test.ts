// The instruction table as a table: every row can be read, and no encoding belongs to two rows.
import { describe, expect, test } from "vitest";
import {
  type CodeBits,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  DECODE_UNDEFINED,
  Decoder,
} from "../../src/decode/decoder.ts";
import {
  type CompiledForm,
  FORMS,
  formsByOpcode,
  PREFIX_66,
  PREFIX_F2,
  PREFIX_F3,
  PREFIX_NONE,
} from "../../src/decode/form-table.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";
import { bytesOf } from "./row.ts";

const nameOf = ({ instruction, form }: CompiledForm): string =>
  `${instruction.mnemonic} ${form.operands.join(", ")} (${form.opcode})`;

describe("every form", () => {
  test("is one of several hundred", () => {
    expect(FORMS.length).toBeGreaterThan(800);
  });

  test("has as many operands as its instruction says how it uses", () => {
    const wrong = FORMS.filter((f) => f.operands.length !== f.instruction.access.length);
    expect(wrong.map(nameOf)).toEqual([]);
  });

  test("allows LOCK only where memory may be written", () => {
    const wrong = FORMS.filter(({ form, allowsMemory, instruction }) => {
      // BT and its like write through an address.
      const writes = instruction.access[0] === "rw" || form.addressPrefixes;
      return form.lockable && !(allowsMemory && writes);
    });
    expect(wrong.map(nameOf)).toEqual([]);
  });

  test("allows no more than one of the ways to a 64-bit operand size", () => {
    const wrong = FORMS.filter(
      ({ form }) => [form.default64, form.force64, form.size].filter(Boolean).length > 1,
    );
    expect(wrong.map(nameOf)).toEqual([]);
  });

  test("is for some code size", () => {
    expect(FORMS.filter(({ form }) => form.not64 && form.only64).map(nameOf)).toEqual([]);
  });
});

describe("every instruction", () => {
  const FLAGS = ["cf", "pf", "af", "zf", "sf", "of"];

  test("names flags that exist, each once", () => {
    const wrong = INSTRUCTIONS.filter(({ flags }) =>
      [flags.reads, flags.writes, flags.undefined].some((text) => {
        const names = (text ?? "").split(" ").filter(Boolean);
        return new Set(names).size !== names.length || names.some((name) => !FLAGS.includes(name));
      }),
    );
    expect(wrong.map((i) => i.mnemonic)).toEqual([]);
  });

  test("cites a manual", () => {
    const wrong = INSTRUCTIONS.filter(({ source }) => !/^(Intel SDM|AMD APM) Vol\. \d[A-D]?, ./.test(source));
    expect(wrong.map((i) => `${i.mnemonic}: ${i.source}`)).toEqual([]);
  });

  test("writes only operands that can be written", () => {
    const written = FORMS.flatMap((f) =>
      f.operands.filter((_, i) => f.instruction.access[i] !== "r").map((o) => [f, o] as const),
    );
    const wrong = written.filter(([, o]) => ["immediate", "relative", "address", "number"].includes(o.class));
    // What is neither read nor written counts as written.
    const inert = ["pop", "ud0", "ud1", "nop"];
    expect(wrong.map(([f]) => nameOf(f)).filter((name) => !inert.includes(name.split(" ")[0]!))).toEqual([]);
  });
});

const PREFIXES = [PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2];
const BOTH = [false, true];

/** Every combination of what the decoder chooses forms by, apart from the opcode; `long` is VEX.L. */
function matches(
  form: CompiledForm,
  prefix: number,
  modRM: number,
  rexW: boolean,
  rexB: boolean,
  code64: boolean,
  long: boolean,
): boolean {
  const { form: row, vex } = form;
  if (vex === undefined && long) return false;
  if (vex !== undefined && vex.length >= 0 && (vex.length === 1) !== long) return false;
  if (vex?.w !== undefined && vex.w !== rexW) return false;
  if ((form.prefixes & prefix) === 0) return false;
  if (form.digit >= 0 && form.digit !== ((modRM >> 3) & 7)) return false;
  if (form.fixedModRM >= 0 && form.fixedModRM !== (modRM & form.modRMMask)) return false;
  const register = modRM >= 0xc0 || form.ignoresMod;
  if (form.hasModRM && !(register ? form.allowsRegister : form.allowsMemory)) return false;
  if (code64 ? row.not64 : row.only64) return false;
  return (row.rexW ?? rexW) === rexW && (row.rexB ?? rexB) === rexB;
}

/** The encodings of one opcode byte that each form takes, as keys. */
function encodingsOf(form: CompiledForm): Set<number> {
  const found = new Set<number>();
  for (const [p, prefix] of PREFIXES.entries())
    for (let modRM = 0; modRM < 256; modRM++)
      for (const [bits, code64] of [
        [0, false],
        [1, true],
      ] as const)
        for (const rexW of BOTH)
          for (const rexB of BOTH)
            for (const long of BOTH) {
              if ((rexB || (rexW && form.vex === undefined)) && !code64) continue;
              if (!matches(form, prefix, modRM, rexW, rexB, code64, long)) continue;
              const choice = [rexW, rexB, long].reduce<number>((all, bit) => 2 * all + Number(bit), bits);
              found.add((modRM * 4 + p) * 16 + choice);
            }
  return found;
}

/** Pairs that share encodings, unless the first is the more particular one. */
function ambiguitiesOf(candidates: readonly CompiledForm[]): string[] {
  if (candidates.length < 2) return [];
  const sets = candidates.map(encodingsOf);
  const found: string[] = [];
  for (const [i, first] of sets.entries())
    for (const [j, second] of sets.entries()) {
      if (j <= i) continue;
      const shared = [...first].filter((key) => second.has(key)).length;
      const isParticular = shared === first.size && first.size < second.size;
      if (shared > 0 && !isParticular) found.push(`${nameOf(candidates[i]!)} and ${nameOf(candidates[j]!)}`);
    }
  return found;
}

describe("the decoder's tables", () => {
  test("give every encoding to one form, or to the more particular of two", () => {
    expect(formsByOpcode().flatMap(ambiguitiesOf)).toEqual([]);
  });

  test("reach every form", () => {
    const reached = new Set(formsByOpcode().flat());
    expect(FORMS.filter((form) => !reached.has(form)).map(nameOf)).toEqual([]);
  });
});

describe("decoding", () => {
  const decoder = new Decoder();
  const lengthOf = (bytes: Uint8Array, codeBits: CodeBits) =>
    decoder.decode(bytes, 0, bytes.length, codeBits);

  test.each([
    [64, "nop", "90"],
    [64, "ret", "c3"],
    [64, "push rbp", "55"],
    [64, "push r12", "41 54"],
    [64, "mov eax,1", "b8 01 00 00 00"],
    [64, "mov ax,1", "66 b8 01 00"],
    [64, "mov rax,1", "48 b8 01 00 00 00 00 00 00 00"],
    [64, "mov al,[0x1122334455667788]", "a0 88 77 66 55 44 33 22 11"],
    [64, "mov al,[0x11223344]", "67 a0 44 33 22 11"],
    [64, "mov DWORD PTR [rax],1", "c7 00 01 00 00 00"],
    [64, "mov QWORD PTR [rsp+0x10],-1", "48 c7 44 24 10 ff ff ff ff"],
    [64, "mov rax,[rip+0x1000]", "48 8b 05 00 10 00 00"],
    [64, "mov eax,[r13+r14*8+0x12345678]", "43 8b 84 f5 78 56 34 12"],
    [64, "mov eax,[disp32]", "8b 04 25 00 00 00 10"],
    [64, "imul eax,ebx,0x1234", "69 c3 34 12 00 00"],
    [64, "imul ax,bx,0x1234", "66 69 c3 34 12"],
    [64, "test BYTE PTR [rax],1", "f6 00 01"],
    [64, "test DWORD PTR [rax],1", "f7 00 01 00 00 00"],
    [64, "not DWORD PTR [rax]", "f7 10"],
    [64, "enter 0x10,1", "c8 10 00 01"],
    [64, "jmp near", "e9 00 00 00 00"],
    [64, "jmp near with an operand-size prefix", "66 e9 00 00 00 00"],
    [64, "je near", "0f 84 00 00 00 00"],
    [64, "lock xadd [rdi],eax", "f0 0f c1 07"],
    [64, "rep movsb", "f3 a4"],
    [64, "shld [rax],ecx,4", "0f a4 08 04"],
    [64, "crowded with prefixes", "66 67 2e 3e 26 36 64 65 f3 66 67 2e 3e 64 90"],
    [32, "jmp far 0x10:0x11223344", "ea 44 33 22 11 10 00"],
    [32, "mov eax,[0x11223344]", "a1 44 33 22 11"],
    [32, "mov ax,[bx+si+1]", "67 66 8b 40 01"],
    [32, "call near", "e8 00 00 00 00"],
    [32, "call near, 16 bits", "66 e8 00 00"],
    [16, "jmp far 0x10:0x1122", "ea 22 11 10 00"],
    [16, "mov ax,[0x1122]", "a1 22 11"],
    [16, "mov eax,[bx+si+0x1122]", "66 8b 80 22 11"],
    [16, "mov eax,[eax+ecx*4]", "67 66 8b 04 88"],
    [16, "push 0x1122", "68 22 11"],
    [16, "je near", "0f 84 00 00"],
  ] as const)("%i-bit code: %s takes all bytes of %s, and no fewer", (codeBits, _assembly, text) => {
    const bytes = bytesOf(text);
    const cut = [...bytes].map((_, i) => lengthOf(bytes.subarray(0, i), codeBits));
    expect(lengthOf(bytes, codeBits)).toBe(bytes.length);
    expect(lengthOf(Uint8Array.of(...bytes, 0xff, 0xff), codeBits)).toBe(bytes.length);
    expect([...new Set(cut)]).toEqual([DECODE_TRUNCATED]);
  });

  test.each([
    [64, "push es, which 64-bit code has not", "06 00 00"],
    [64, "LOCK before a register destination", "f0 01 c0"],
    [64, "LOCK before an instruction that only reads", "f0 39 00"],
    [64, "lea with a register", "8d c0"],
    [64, "mov with a digit that is not 0", "c7 c8 00 00 00 00"],
    [32, "swapgs, which only 64-bit code has", "0f 01 f8"],
  ] as const)("%i-bit code: %s is undefined (%s)", (codeBits, _what, text) => {
    expect(lengthOf(bytesOf(text), codeBits)).toBe(DECODE_UNDEFINED);
  });

  test("an instruction of more than 15 bytes is too long, even if it ends there", () => {
    expect(lengthOf(bytesOf("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90"), 64)).toBe(DECODE_TOO_LONG);
  });
});
