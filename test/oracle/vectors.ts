// Cases with the results of a real processor, in one compressed file, for
// hosts that are not x86-64. Before compression: u32 batches, u32 bytes of the
// description, description (JSON); then for each batch u32 bytes of the batch,
// u32 bytes of the results, u32 cases, and batch, results, and for each case
// its packed tolerance as u32.
import { readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { decodeCase, indexBatch } from "./batch.ts";
import { describeDifferences, resultsAgree } from "./compare.ts";
import { disassemble } from "./disassemble.ts";
import type { Generator } from "./generate.ts";
import type { HostProcessor, NativeTarget } from "./native-target.ts";
import { PROTOCOL_VERSION } from "./protocol.ts";
import { decodeResult, indexResults } from "./results.ts";
import type { ExecutionTarget } from "./target.ts";
import { unpackTolerance } from "./tolerance.ts";

/** Each batch brings memory contents and images of its own, so few large ones are smaller. */
const CASES_PER_BATCH = 16_384;

interface RecordedBatch {
  readonly batch: Uint8Array;
  readonly results: Uint8Array;
  readonly tolerances: Int32Array;
}

export interface Vectors {
  readonly processor: HostProcessor;
  readonly batches: readonly RecordedBatch[];
}

/** Records what the host's processor does with `count` random cases. */
export async function recordVectors(
  generator: Generator,
  native: NativeTarget,
  count: number,
  path: string,
): Promise<{ cases: number; bytes: number }> {
  const batches: RecordedBatch[] = [];
  for (let left = count; left > 0; left -= CASES_PER_BATCH) {
    const made = generator.batch(Math.min(left, CASES_PER_BATCH));
    const results = (await native.run(made.bytes)).slice();
    new DataView(results.buffer).setBigUint64(16, 0n); // the time taken is not part of what is recorded
    batches.push({
      batch: made.bytes.slice(),
      results,
      tolerances: made.tolerances,
    });
  }
  const bytes = packVectors({ processor: native.host, batches });
  writeFileSync(path, bytes);
  return { cases: count, bytes: bytes.length };
}

function packVectors(vectors: Vectors): Uint8Array {
  const description = Buffer.from(
    JSON.stringify({ protocol: PROTOCOL_VERSION, processor: vectors.processor }),
  );
  const parts: Uint8Array[] = [
    Buffer.from(Uint32Array.of(vectors.batches.length, description.length).buffer),
    description,
  ];
  for (const b of vectors.batches) {
    parts.push(Buffer.from(Uint32Array.of(b.batch.length, b.results.length, b.tolerances.length).buffer));
    parts.push(b.batch, b.results, new Uint8Array(b.tolerances.buffer));
  }
  const all = Buffer.concat(parts);
  return brotliCompressSync(all, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: all.length,
    },
  });
}

/** Reads a file of recorded cases. */
export function readVectors(path: string): Vectors {
  const all = brotliDecompressSync(readFileSync(path));
  let at = 0;
  const word = () => {
    at += 4;
    return all.readUInt32LE(at - 4);
  };
  const bytes = (count: number) => {
    at += count;
    return Uint8Array.from(all.subarray(at - count, at));
  };
  const batchCount = word();
  const description = JSON.parse(Buffer.from(bytes(word())).toString());
  if (description.protocol !== PROTOCOL_VERSION)
    throw new Error(`${path} was recorded with protocol ${description.protocol}: record it again`);
  const batches: RecordedBatch[] = [];
  for (let i = 0; i < batchCount; i++) {
    const [batchBytes, resultBytes, cases] = [word(), word(), word()];
    batches.push({
      batch: bytes(batchBytes),
      results: bytes(resultBytes),
      tolerances: new Int32Array(bytes(4 * cases).buffer),
    });
  }
  return { processor: description.processor, batches };
}

/** Runs recorded cases on a target. Gives the number of cases and a text for each of the first differences. */
export async function replayVectors(
  vectors: Vectors,
  target: ExecutionTarget,
  maxTexts = 20,
): Promise<{ cases: number; differing: number; texts: string[] }> {
  const texts: string[] = [];
  let cases = 0;
  let differing = 0;
  for (const recorded of vectors.batches) {
    const ours = indexResults(recorded.results);
    const theirs = indexResults(await target.run(recorded.batch));
    cases += ours.offsets.length;
    for (let i = 0; i < ours.offsets.length; i++) {
      const tolerance = unpackTolerance(recorded.tolerances[i]!);
      if (resultsAgree(ours, theirs, i, tolerance)) continue;
      const testCase = decodeCase(indexBatch(recorded.batch), i);
      const differences = describeDifferences(
        decodeResult(ours, i, testCase),
        decodeResult(theirs, i, testCase),
        tolerance,
      );
      if (differences.length === 0) continue;
      differing++;
      if (texts.length < maxTexts)
        texts.push([...disassemble(testCase), ...differences.map((d) => `  -> ${d}`)].join("\n"));
    }
  }
  return { cases, differing, texts };
}
