import { FunctionBuilder } from "../../src/wasm/function-builder.ts";
import { ModuleWriter } from "../../src/wasm/module-writer.ts";

/** A module with a function `loop` that adds up the numbers from its argument down to 1; `start` makes it another module. */
export function loopModule(start: number): Uint8Array<ArrayBuffer> {
  const b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  const left = b.variable("i32", b.parameter(0));
  const sum = b.variable("i32", b.i32(start));
  b.loop((again) => {
    b.set(sum, b.op("i32.add", b.get(sum), b.get(left)));
    b.set(left, b.op("i32.sub", b.get(left), b.i32(1)));
    b.brIf(again, b.get(left));
  });
  b.return(b.get(sum));
  const module = new ModuleWriter();
  const ref = module.declareFunction("loop", b.type);
  module.defineFunction(ref, b);
  module.exportFunction("loop", ref);
  return module.finish();
}
