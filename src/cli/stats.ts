import process from "node:process";
import { readWholeFile, writeWholeFile } from "../host/node/files.ts";
import { overheadLines } from "../machine/overhead-report.ts";
import type { StatsOptions } from "./command-line.ts";
import { EXIT_POWERED_OFF } from "./exit-codes.ts";
import { parseOverheadReport } from "./parse-overhead-report.ts";

/** `ringfence stats`: prints or draws what runs cost. Returns the exit status. */
export async function stats({ files, plotPath, json }: StatsOptions): Promise<number> {
  const reports = files.map((file) => ({
    name: file,
    report: parseOverheadReport(file, new TextDecoder().decode(readWholeFile(file))),
  }));
  if (json) {
    const listed = reports.map(({ name, report }) => ({ file: name, ...report }));
    process.stdout.write(`${JSON.stringify(listed, undefined, 2)}\n`);
  } else if (plotPath === undefined) {
    for (const { name, report } of reports)
      process.stdout.write(`${[name, ...overheadLines(report)].join("\n")}\n`);
  } else {
    // The plotting library is large: only who draws waits for it.
    const { overheadFigure } = await import("./overhead-figure.ts");
    writeWholeFile(plotPath, overheadFigure(reports));
  }
  return EXIT_POWERED_OFF;
}
