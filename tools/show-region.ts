/**
 * Prints the WebAssembly that the translator makes of a small 64-bit function:
 * the example of docs/translator.md. usage: node tools/show-region.ts [ASSEMBLY]
 */

import { dumpModule } from "../src/wasm/text-dump.ts";
import { Guest } from "../test/processor/guest.ts";

/** Sums quadwords: RSI is where they are, ECX how many. */
const EXAMPLE = "xor eax, eax\nagain: add rax, [rsi]\nadd rsi, 8\ndec ecx\njnz again\nret";
const CODE = 0x101000;

const { Module } = WebAssembly;
let last: Uint8Array | undefined;
/** Sees every module that is compiled. */
WebAssembly.Module = new Proxy(Module, {
  construct(target, [bytes]: [Uint8Array]) {
    last = bytes;
    return new target(bytes as Uint8Array<ArrayBuffer>);
  },
});

const guest = new Guest("auto").restart();
guest.code(process.argv[2] ?? EXAMPLE, CODE);
guest.set("rip", BigInt(CODE));
guest.parts.engine.translateHere();
if (last !== undefined) process.stdout.write(`${dumpModule(last)}\n`);
