import { existsSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import v8 from "node:v8";
import { crc32 } from "node:zlib";
import { ROOT } from "./bundle.ts";

/** Before what V8 gives: the CRC of wire bytes and code. */
const HEAD_BYTES = 4;

/**
 * What tools/build-native.ts builds. The interface of V8 that it uses may change from one version to the next, so the
 * version of Node.js is in its name.
 */
export const MODULE_CODE_ADDON = path.join(
  ROOT,
  "build",
  "native",
  `module-code-${process.version}-${process.platform}-${process.arch}.node`,
);

/** V8's machine code for WebAssembly modules, for another process to take over. */
export interface ModuleCode {
  /**
   * The code of those functions that V8 has optimised until now, and how near the others are to it; undefined where it has
   * optimised none. Holds its thread for about as long as copying that takes.
   */
  serialize(module: WebAssembly.Module): Uint8Array<ArrayBuffer> | undefined;
  /**
   * A module with that code. Its other functions are compiled again: at once those that had run, when they are first called the rest.
   * Undefined where `code` was made by another version of V8, with other options or for another processor, or is not what
   * `serialize` gave for these wire bytes. Options count as they are at the time: not while one is changed.
   *
   * V8 checks its version, the options, the processor's features and the features of WebAssembly, but trusts all the rest: a damaged
   * length ends the process, damaged code does anything. So a CRC of both is looked at first.
   */
  deserialize(wireBytes: Uint8Array, code: Uint8Array): WebAssembly.Module | undefined;
  /** Names all that the code depends on besides the wire bytes. */
  readonly version: string;
}

interface Addon {
  serialize(module: WebAssembly.Module): ArrayBuffer | undefined;
  wireBytes(module: WebAssembly.Module): ArrayBuffer;
  deserialize(wireBytes: Uint8Array, code: Uint8Array): WebAssembly.Module | undefined;
}

let loaded: ModuleCode | "none" | undefined;

/** Undefined where the addon is not built, or this Node.js cannot load it. */
export function moduleCode(): ModuleCode | undefined {
  loaded ??= load() ?? "none";
  return loaded === "none" ? undefined : loaded;
}

function load(): ModuleCode | undefined {
  if (!existsSync(MODULE_CODE_ADDON)) return undefined;
  const holder = { exports: {} };
  try {
    // All of it now: what V8 does not have must be missed here and not at the first call.
    process.dlopen(holder, MODULE_CODE_ADDON, os.constants.dlopen.RTLD_NOW);
  } catch {
    return undefined;
  }
  return withChecks(holder.exports as Addon);
}

function withChecks(addon: Addon): ModuleCode {
  return {
    serialize(module) {
      const code = addon.serialize(module);
      if (code === undefined) return undefined;
      const bytes = new Uint8Array(HEAD_BYTES + code.byteLength);
      bytes.set(new Uint8Array(code), HEAD_BYTES);
      new DataView(bytes.buffer).setUint32(0, crcOf(new Uint8Array(addon.wireBytes(module)), bytes), true);
      return bytes;
    },
    deserialize(wireBytes, code) {
      if (code.length <= HEAD_BYTES) return undefined;
      const crc = new DataView(code.buffer, code.byteOffset).getUint32(0, true);
      if (crc !== crcOf(wireBytes, code)) return undefined;
      return addon.deserialize(wireBytes, code.subarray(HEAD_BYTES));
    },
    version: [process.version, process.platform, process.arch, v8.cachedDataVersionTag()].join(" "),
  };
}

const crcOf = (wireBytes: Uint8Array, code: Uint8Array): number =>
  crc32(code.subarray(HEAD_BYTES), crc32(wireBytes));
