import process from "node:process";
import v8 from "node:v8";

/** V8's own, in the version below: it cannot be asked for. */
const USUAL_BUDGET = 13_000_000;
const KNOWN_VERSION = /^14\./;
const MOST_BUDGET = 2_000_000_000;

/** Who starts Node.js with options of the compilers has a reason. */
const given = [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].join(" ");
const isUsual = KNOWN_VERSION.test(process.versions.v8) && !/tiering|liftoff/.test(given);

/**
 * Compiles a module whose functions V8 optimises when each has executed about so many bytes of its code.
 *
 * V8 reads the budget from an option of the process when a module is made. It is put back at once, because what V8 has
 * compiled of our sources is only good, at the next start, for the same options.
 */
export function compileRegions(bytes: Uint8Array<ArrayBuffer>, budget: number): WebAssembly.Module {
  if (!isUsual) return new WebAssembly.Module(bytes);
  try {
    setBudget(Math.min(MOST_BUDGET, Math.round(budget)));
    return new WebAssembly.Module(bytes);
  } finally {
    setBudget(USUAL_BUDGET);
  }
}

function setBudget(budget: number): void {
  v8.setFlagsFromString(`--wasm-tiering-budget=${budget}`);
}
