/**
 * Debian's installer from power-on to its first dialog, under QEMU's TCG and under Ringfence in turn: processor time of the
 * whole process and elapsed time, and the ratio of the medians.
 *
 *     node bench/installer.ts [--rounds N]
 *
 * Needs qemu-system-x86_64 and Debian's packages, of which the installer is one.
 */
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { fetchGuest } from "../tools/fetch-guests.ts";
import { type Cost, MeasuredGuest } from "./measured-guest.ts";

const MAIN = path.resolve(import.meta.dirname, "../src/cli/main.ts");
const DIALOG = /Select a language[\s\S]*English[\s\S]*<Tab> moves/;
const QEMU = "qemu-system-x86_64 -accel tcg -m 1024 -nographic -no-reboot -nic none";
const APPEND = "console=ttyS0";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "1" } } });
const guest = await fetchGuest("debian-installer");
if (!guest.available || guest.initrdPath === undefined)
  throw new Error(guest.available ? "the installer has no initrd" : guest.reason);
const files = (dashes: string) =>
  [`${dashes}kernel`, guest.kernelPath, `${dashes}initrd`, guest.initrdPath ?? ""].concat(
    `${dashes}append`,
    APPEND,
  );
const peers: Readonly<Record<string, readonly string[]>> = {
  "QEMU TCG": [...QEMU.split(" "), ...files("-")],
  Ringfence: [process.execPath, MAIN, "run", "--memory", "1G", "--network", "none", ...files("--")],
};

const costs = new Map<string, Cost[]>();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [name, command] of Object.entries(peers)) {
    const machine = new MeasuredGuest(command);
    try {
      const cost = await machine.shows(DIALOG);
      costs.set(name, [...(costs.get(name) ?? []), cost]);
      console.log(
        `${name}: ${cost.cpuS.toFixed(1)} s of processor time, ${cost.elapsedS.toFixed(1)} s elapsed`,
      );
    } finally {
      machine.kill();
    }
  }
}
const median = (name: string, of: keyof Cost) => {
  const sorted = (costs.get(name) ?? []).map((cost) => cost[of]).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
};
const ratio = (of: keyof Cost) => (median("Ringfence", of) / median("QEMU TCG", of)).toFixed(2);
console.log(`Ringfence to QEMU: processor time ${ratio("cpuS")}, elapsed ${ratio("elapsedS")}`);
