import { expect, test } from "vitest";
import { checkSource } from "../../tools/check-imports.ts";

test("an import from a folder above is allowed", () => {
  expect(checkSource("src/decode/decoder.ts", 'import { RAX } from "../isa/registers.ts";')).toEqual([]);
});

test("an import from a folder below is refused, with its line", () => {
  expect(checkSource("src/isa/registers.ts", '\nimport { Decoder } from "../decode/decoder.ts";')).toEqual([
    "src/isa/registers.ts:2: src/isa imports src/decode, which stands below it",
  ]);
});

test("the two engines never import each other, in either direction", () => {
  const expected = "they meet only in src/cpu's Engine";
  expect(checkSource("src/translate/a.ts", 'import type { B } from "../interpret/b.ts";')[0]).toContain(
    expected,
  );
  expect(checkSource("src/interpret/a.ts", 'import type { B } from "../translate/b.ts";')[0]).toContain(
    expected,
  );
});

test("cpu takes types from bus, but no values", () => {
  const type = 'import type { PortDevice } from "../bus/port-bus.ts";';
  const value = 'import { PortBus } from "../bus/port-bus.ts";';
  expect(checkSource("src/cpu/processor.ts", type)).toEqual([]);
  expect(checkSource("src/cpu/processor.ts", value)).toHaveLength(1);
});

test("a device imports bus, layout and host interfaces, and not the processor", () => {
  expect(checkSource("src/devices/rtc/rtc.ts", 'import type { Clock } from "../../bus/clock.ts";')).toEqual(
    [],
  );
  expect(
    checkSource("src/devices/rtc/rtc.ts", 'import type { WallClock } from "../../host/clock.ts";'),
  ).toEqual([]);
  expect(checkSource("src/devices/rtc/rtc.ts", 'import { State } from "../../cpu/state.ts";')).toEqual([
    "src/devices/rtc/rtc.ts:1: src/devices imports src/cpu; it may import only bus, layout, host",
  ]);
});

test("layout is for everybody, and platform code only for those that start a machine", () => {
  expect(checkSource("src/wasm/writer.ts", 'import { TLB } from "../layout/memory-map.ts";')).toEqual([]);
  expect(checkSource("src/cli/run.ts", 'import { sleep } from "../host/node/sleep.ts";')).toEqual([]);
  expect(checkSource("src/machine/machine.ts", 'import { sleep } from "../host/node/sleep.ts";')).toEqual([
    "src/machine/machine.ts:1: src/machine imports platform code, host/node; take an interface of host/ instead",
  ]);
});

test("only platform code imports packages and modules of the host", () => {
  expect(checkSource("src/host/node/files.ts", 'import { readFileSync } from "node:fs";')).toEqual([]);
  expect(checkSource("src/memory/ram.ts", 'import { readFileSync } from "node:fs";')).toHaveLength(1);
});

test("default exports and enums are refused", () => {
  expect(checkSource("src/isa/a.ts", "export default 1;")).toEqual(["src/isa/a.ts:1: default export"]);
  expect(checkSource("src/isa/a.ts", "export const enum Flag { A }")).toHaveLength(1);
});

test("a file that only passes on exports is refused, but for the public API", () => {
  const barrel = 'export * from "./b.ts";\nexport {\n  C,\n} from "./c.ts";\n';
  expect(checkSource("src/isa/a.ts", barrel)).toEqual(["src/isa/a.ts:1: barrel: only src/api is one"]);
  expect(checkSource("src/isa/a.ts", `${barrel}export const D = 1;`)).toEqual([]);
  expect(checkSource("src/api/index.ts", barrel)).toEqual([]);
});

test("a multi-line import and a dynamic import are seen; comments and strings are not code", () => {
  expect(checkSource("src/isa/a.ts", 'import {\n  A,\n  B,\n} from "../cpu/b.ts";')).toHaveLength(1);
  expect(checkSource("src/isa/a.ts", 'const b = await import("../cpu/b.ts");')).toHaveLength(1);
  expect(checkSource("src/isa/a.ts", '// import { A } from "../cpu/b.ts";')).toEqual([]);
  expect(
    checkSource("src/isa/a.ts", 'const text = `\nexport default 1\nimport { A } from "../cpu/b.ts"`;'),
  ).toEqual([]);
});
