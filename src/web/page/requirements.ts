import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleWriter } from "../../wasm/module-writer.ts";

/** What this page and this browser lack for a machine to run, a sentence each; empty when all is there. */
export function missingRequirements(): string[] {
  if (typeof WebAssembly === "undefined") {
    return ["This browser has no WebAssembly, or it has been turned off."];
  }
  const missing: string[] = [];
  if (!isSecureContext) {
    missing.push("The page has come over an insecure connection: it must come from localhost or by https.");
  } else if (!crossOriginIsolated) {
    missing.push(
      "The page is not cross-origin isolated: its server must send the headers " +
        "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp. " +
        "`npm run web` starts one that does.",
    );
  }
  for (const [feature, bytes] of Object.entries(probes())) {
    if (!WebAssembly.validate(bytes)) missing.push(`This browser's WebAssembly lacks ${feature}.`);
  }
  return missing;
}

/** Small modules, each valid only where the feature that it is named after is there. */
function probes(): Record<string, Uint8Array<ArrayBuffer>> {
  return {
    "shared memory and atomic operations": probe((f) =>
      f.store("i32.store", f.i32(0), f.atomic("i32.atomic.load", f.i32(0), 0)),
    ),
    "128-bit SIMD": probe((f) => f.store("v128.store", f.i32(0), f.op("i64x2.splat", f.i64(0n)))),
    "tail calls": probe((f, module) => {
      f.returnCall(module.importFunction("env", "other", { params: [], results: [] }));
    }),
    "bulk memory operations": probe((f) => f.memoryFill(f.i32(0), f.i32(0), f.i32(8))),
  };
}

function probe(build: (f: FunctionBuilder, module: ModuleWriter) => void): Uint8Array<ArrayBuffer> {
  const module = new ModuleWriter();
  module.importMemory("env", "memory", { initialPages: 1, maximumPages: 1, shared: true });
  const body = new FunctionBuilder({ params: [], results: [] });
  build(body, module);
  module.defineFunction(module.declareFunction("probe", body.type), body);
  return module.finish();
}
