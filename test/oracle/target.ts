import { type BatchIndex, decodeCase, encodeBatch, indexBatch } from "./batch.ts";
import { IMAGE_BYTES, type TestCase, type TestResult } from "./protocol.ts";
import { decodeResult, emptyFinalState, indexResults, ResultBuilder } from "./results.ts";

/** Something that executes test cases: the host's processor, the interpreter, the evaluator. */
export interface ExecutionTarget {
  readonly name: string;
  /** Who made it, where it is a processor: see HOST_VENDOR. */
  readonly vendor?: string;
  /** Runs a batch (protocol.ts) and gives its results in the same order. */
  run(batch: Uint8Array): Promise<Uint8Array>;
  /** Has what follows run in another process, at whose random addresses other things lie. */
  renew?(): Promise<void>;
  close(): Promise<void>;
}

/** Runs one readable case. */
export async function runCase(target: ExecutionTarget, testCase: TestCase): Promise<TestResult> {
  const [result] = await runCases(target, [testCase]);
  return result!;
}

/** Runs readable cases that share their memory contents. */
export async function runCases(target: ExecutionTarget, cases: readonly TestCase[]): Promise<TestResult[]> {
  const results = indexResults(await target.run(encodeBatch(cases)));
  return cases.map((c, i) => decodeResult(results, i, c));
}

/** A target from a function over readable cases: simple and slow. */
export function targetFromCases(name: string, run: (testCase: TestCase) => TestResult): ExecutionTarget {
  return {
    name,
    async run(batch) {
      const index = indexBatch(batch);
      const words = new Uint32Array(batch.slice().buffer);
      const builder = new ResultBuilder();
      index.offsets.forEach((at, i) => {
        addResult(builder, words, index, at, run(decodeCase(index, i)));
      });
      return builder.finish();
    },
    async close() {},
  };
}

function addResult(
  builder: ResultBuilder,
  words: Uint32Array,
  index: BatchIndex,
  at: number,
  result: TestResult,
): void {
  const state = emptyFinalState();
  const set = (to: Uint32Array, i: number, value: bigint) => {
    to[2 * i] = Number(value & 0xffff_ffffn);
    to[2 * i + 1] = Number(value >> 32n);
  };
  Object.assign(state, {
    status: result.status,
    vector: result.vector,
    errorCode: result.errorCode,
    changedWords: result.changedWords,
  });
  set(state.rip, 0, result.rip);
  set(state.rflags, 0, result.rflags);
  set(state.cr2, 0, result.cr2);
  result.registers.forEach((value, i) => {
    set(state.registers, i, value);
  });
  set(state.registers, 16, result.fsBase);
  set(state.registers, 17, result.gsBase);
  state.image.set(new Uint32Array(result.image.slice().buffer));
  result.changes.forEach((change, i) => {
    state.changes[3 * i] = change.address;
    state.changes[3 * i + 1] = Number(change.value & 0xffff_ffffn);
    state.changes[3 * i + 2] = Number(change.value >> 32n);
  });
  builder.add(words, at, index.imagesAt + index.bytes[at + 7]! * IMAGE_BYTES, state);
}
