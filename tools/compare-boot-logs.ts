/**
 * Boots Debian's kernels under QEMU and here, and compares what they write into their logs.
 *
 *     node tools/compare-boot-logs.ts [--logs FOLDER] [--reuse] [--write-docs] [GUEST ...]
 *
 * GUEST is one of cloud-kernel, standard-kernel, debian-installer; by default all of them. Logs go into FOLDER
 * (build/boot-logs); with --reuse, those that are there are not made anew. Every message that only one of the two boots has
 * must be explained by a class of tools/boot-logs/differences.ts; the status is 1 when one is not, or when a warning
 * comes here alone; if all is well, --write-docs writes docs/boot-logs.md anew.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { bootHere, bootInQemu, LOGGED_GUESTS, type LoggedGuest, prepareBoot } from "./boot-logs/boots.ts";
import { classOf } from "./boot-logs/differences.ts";
import { bootLogsDocument } from "./boot-logs/document.ts";
import {
  compareLogs,
  type KernelMessage,
  kernelMessages,
  type LogDifference,
  WARNING,
} from "./boot-logs/kernel-log.ts";

const ROOT = path.resolve(import.meta.dirname, "..");

async function differenceOf(guest: LoggedGuest, folder: string, reuse: boolean): Promise<LogDifference> {
  const say = (line: string) => console.error(line);
  const boot = await prepareBoot(guest, say);
  const initrdPath = path.join(folder, `${guest}.cpio`);
  writeFileSync(initrdPath, boot.initrd);
  const qemuLog = path.join(folder, `${guest}.qemu.log`);
  if (!reuse || !existsSync(qemuLog)) {
    say(`${guest}: booting under QEMU`);
    writeFileSync(qemuLog, await bootInQemu(boot, initrdPath), "latin1");
  }
  const hereLog = path.join(folder, `${guest}.ringfence.log`);
  if (!reuse || !existsSync(hereLog)) {
    say(`${guest}: booting here`);
    writeFileSync(hereLog, await bootHere(boot, initrdPath), "latin1");
  }
  const [qemu, here] = [qemuLog, hereLog].map((file) => kernelMessages(readFileSync(file, "latin1")));
  return compareLogs(qemu ?? [], here ?? []);
}

/** Prints the differences of one guest; returns how many of them must not be. */
function report(guest: LoggedGuest, difference: LogDifference): number {
  const { onlyFirst, onlySecond, otherFigures, equal } = difference;
  console.log(`${guest}: ${equal} messages equal, ${otherFigures.length} with other figures,`);
  console.log(`  ${onlyFirst.length} under QEMU only, ${onlySecond.length} here only`);
  const unexplained: string[] = [];
  const line = ({ level, text }: KernelMessage) => `<${level}> ${text}`;
  for (const message of onlySecond) {
    if (message.level <= WARNING) unexplained.push(`warning here alone: ${line(message)}`);
    else if (classOf(message, "here") === undefined) unexplained.push(`here alone: ${line(message)}`);
  }
  for (const message of onlyFirst)
    if (classOf(message, "qemu") === undefined) unexplained.push(`under QEMU alone: ${line(message)}`);
  for (const text of unexplained) console.log(`  ${text}`);
  return unexplained.length;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { logs: { type: "string" }, reuse: { type: "boolean" }, "write-docs": { type: "boolean" } },
    allowPositionals: true,
  });
  const folder = values.logs ?? path.join(ROOT, "build", "boot-logs");
  mkdirSync(folder, { recursive: true });
  const asked = LOGGED_GUESTS.filter((name) => positionals.length === 0 || positionals.includes(name));
  const differences = new Map<LoggedGuest, LogDifference>();
  for (const guest of asked) differences.set(guest, await differenceOf(guest, folder, values.reuse ?? false));
  let wrong = 0;
  for (const [guest, difference] of differences) wrong += report(guest, difference);
  if (values["write-docs"] && wrong === 0)
    writeFileSync(path.join(ROOT, "docs", "boot-logs.md"), bootLogsDocument(differences));
  return wrong === 0 ? 0 : 1;
}

process.exit(await main());
