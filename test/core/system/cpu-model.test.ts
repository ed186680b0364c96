import { expect, test } from "vitest";
import { CPU_MODELS, extensionsOf, parseCpuModel } from "../../../src/cpu/cpu-model.ts";
import { Decoder } from "../../../src/decode/decoder.ts";
import { formsWithin } from "../../../src/decode/form-table.ts";

const mnemonicIn = (model: string, code: string): string | undefined => {
  const decoder = new Decoder(formsWithin(extensionsOf(parseCpuModel(model))));
  const bytes = Uint8Array.from(Buffer.from(code.replaceAll(" ", ""), "hex"));
  return decoder.decode(bytes, 0, bytes.length, 64) > 0
    ? decoder.result.form.instruction.mnemonic
    : undefined;
};

test("the levels contain one another, and max has everything", () => {
  const names = ["x86-64-v1", "x86-64-v2", "x86-64-v3", "max"];
  const models = names.map((name) => CPU_MODELS[name]!);
  expect(models.slice(1).map((model, i) => [...models[i]!].every((name) => model.has(name)))).toEqual([
    true,
    true,
    true,
  ]);
});

test("a feature brings what it needs, and takes what needs it", () => {
  const added = parseCpuModel("v1,+avx2");
  expect(["avx", "xsave", "sse4.2", "ssse3"].filter((name) => !added.has(name as "avx"))).toEqual([]);
  const removed = parseCpuModel("v3,-sse4.2");
  expect(["avx", "avx2", "fma", "f16c"].filter((name) => removed.has(name as "avx"))).toEqual([]);
  expect(removed.has("bmi2")).toBe(true);
});

test.each([
  ["v2", "c5 fc 58 c1", undefined],
  ["v3", "c5 fc 58 c1", "vaddps"],
  ["v3", "c4 e2 7d dc c1", undefined],
  ["max", "c4 e2 7d dc c1", "vaesenc"],
  ["v1", "66 0f 38 00 c1", undefined],
  ["default", "48 0f c7 08", "cmpxchg16b"],
  ["v1", "48 0f c7 08", undefined],
  ["v1", "9f", undefined],
  // Without the extension, its prefix means nothing before an older instruction.
  ["v2", "f3 0f bd c1", "bsr"],
  ["v3", "f3 0f bd c1", "lzcnt"],
])("%s: %s is %s", (model, code, expected) => {
  expect(mnemonicIn(model, code)).toBe(expected);
});
