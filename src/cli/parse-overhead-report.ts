import { OVERHEAD_REPORT_VERSION, type OverheadReport } from "../machine/overhead-report.ts";
import { UsageError } from "./usage-error.ts";

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const areNumbers = (record: Record<string, unknown>, names: readonly string[]): boolean =>
  names.every((name) => Number.isFinite(record[name]));
const areStrings = (record: Record<string, unknown>, names: readonly string[]): boolean =>
  names.every((name) => typeof record[name] === "string");
const isListOf = (value: unknown, isItem: (item: Record<string, unknown>) => boolean): boolean =>
  Array.isArray(value) && value.every((item) => isRecord(item) && isItem(item));

/**
 * The text of a file that `run --stats-file` wrote.
 *
 * @throws {UsageError} for anything else.
 */
export function parseOverheadReport(file: string, text: string): OverheadReport {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError(`${file}: not JSON; expected what \`ringfence run --stats-file\` wrote`);
  }
  if (!isRecord(value) || value["version"] !== OVERHEAD_REPORT_VERSION)
    throw new UsageError(`${file}: not statistics of version ${OVERHEAD_REPORT_VERSION}`);
  const { tiers, counters } = value;
  const complete =
    areStrings(value, ["engine"]) &&
    areNumbers(value, ["instructions", "guestTimeNs", "resets", "clockNs"]) &&
    isRecord(tiers) &&
    areNumbers(tiers, ["interpreted", "translated"]) &&
    isRecord(counters) &&
    areNumbers(counters, Object.keys(counters)) &&
    isListOf(
      value["kinds"],
      (kind) => areStrings(kind, ["group", "name"]) && areNumbers(kind, ["count", "ns"]),
    ) &&
    isListOf(
      value["devices"],
      (device) => areStrings(device, ["name", "space"]) && areNumbers(device, ["reads", "writes", "ns"]),
    );
  if (!complete) throw new UsageError(`${file}: statistics with a part missing or of the wrong type`);
  return value as unknown as OverheadReport;
}
