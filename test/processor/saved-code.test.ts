import { describe, expect, test } from "vitest";
import { nasmAvailable } from "./assemble.ts";
import { Guest } from "./guest.ts";

/** Every other round goes each way; all is hot before it ends. */
const LOOP = `
  mov ecx, 400000
  xor ebx, ebx
again:
  add rsi, rbx
  rdtsc
  test cl, 1
  jz even
  inc rbx
even:
  dec ecx
  jnz again
  hlt`;

describe.skipIf(!nasmAvailable)("an engine with the code of another", () => {
  test("translates what that one had decoded, with instructions that regions leave to handlers", () => {
    const codeVersion = "a version";
    const original = new Guest("auto", { codeVersion }).restart().program(LOOP);
    original.run(1000, 10);
    const saved = original.parts.engine.saveCode();
    const bytes = [...saved!.recentGroups, ...saved!.groups];
    const groups = bytes.map((group) => ({ sizeBytes: group.length, unpack: () => group }));
    const code = { ...saved!, groups, changedPages: new Set<number>() };

    const successor = new Guest("auto", { codeVersion, code }).restart().program(LOOP);
    successor.parts.engine.restoreCode();
    expect(successor.run(10_000)).toBe("halt");
    expect(successor.get("rbx")).toBe(200_000n);
    const { statistics } = successor.parts.engine;
    expect(statistics).toMatchObject({ decodedBlocks: 0, handlerModules: 1, regionModules: 1 });
  });
});
