import { type CodeBits, DECODE_TOO_LONG, Decoder } from "../../src/decode/decoder.ts";
import { instructionText } from "../../src/decode/disassembler.ts";
import { type Comparison, EXCEPTIONS } from "./exceptions.ts";
import { extensionOf, mnemonicOf } from "./extensions.ts";
import { foldText } from "./fold-text.ts";
import type { ObjdumpLine } from "./objdump.ts";

export interface Difference {
  /** What of it is alike in many: for counting. */
  readonly kind: string;
  readonly text: string;
}

/** What a run of comparisons found. */
export class Report {
  compared = 0;
  agreed = 0;
  bothUndefined = 0;
  readonly unannounced = new Map<string, number>();
  readonly excepted = new Map<string, number>();
  readonly differences: Difference[] = [];

  count(counts: Map<string, number>, key: string): void {
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }

  toString(): string {
    const list = (counts: Map<string, number>) =>
      [...counts]
        .sort((a, b) => b[1] - a[1])
        .map(([name, n]) => `\n    ${n} ${name}`)
        .join("");
    return (
      `${this.compared} compared: ${this.agreed} agree, ${this.bothUndefined} undefined to both` +
      `\n  of unannounced extensions:${list(this.unannounced)}\n  exceptions:${list(this.excepted)}` +
      `\n  ${this.differences.length} differences`
    );
  }
}

const decoder = new Decoder();

/** Compares our decoding of `bytes[at]`, which stands at `line.address`, with objdump's `line`. */
export function judge(
  report: Report,
  bytes: Uint8Array,
  at: number,
  line: ObjdumpLine,
  codeBits: CodeBits,
): void {
  report.compared++;
  const length = decoder.decode(bytes, at, bytes.length, codeBits);
  const ours =
    length > 0
      ? foldText(instructionText(decoder.result, BigInt(line.address), codeBits), codeBits)
      : undefined;
  const bad = line.text.includes("(bad)");
  const theirs = bad ? undefined : foldText(line.text, codeBits);
  const tooLong = length === DECODE_TOO_LONG && line.length > 15;
  if (ours === undefined && (theirs === undefined || tooLong)) {
    report.bothUndefined++;
    return;
  }
  if (ours === theirs && length === line.length) {
    report.agreed++;
    return;
  }
  if (ours === undefined) {
    const extension = extensionOf(line.text);
    if (extension !== undefined) return report.count(report.unannounced, extension);
  }
  const raw = line.text;
  const comparison: Comparison = {
    bytes,
    at,
    codeBits,
    ours,
    length,
    theirs,
    theirLength: line.length,
    raw,
    merged: line.merged,
  };
  const exception = EXCEPTIONS.find((e) => e.applies(comparison));
  if (exception) return report.count(report.excepted, exception.reason);
  const shown = Buffer.from(bytes.subarray(at, at + Math.max(length, Math.min(line.length, 15), 1))).toString(
    "hex",
  );
  const kind =
    ours === undefined
      ? `missing ${mnemonicOf(line.text)}`
      : `${codeBits} ${ours.split(" ")[0]} / ${theirs?.split(" ")[0] ?? "(bad)"}`;
  const text = `${codeBits}-bit ${shown}: ours ${length} "${ours ?? "undefined"}", objdump ${line.length} "${line.text}"`;
  report.differences.push({ kind, text });
}
