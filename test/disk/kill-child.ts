/** Does random things to a disk until it is killed: node kill-child.ts FILE FORMAT SEED LOG */
import { openSync, writeSync } from "node:fs";
import process from "node:process";
import { type DiskFormat, openDisk } from "../../src/disk/open-disk.ts";
import { nodeDiskHost } from "../../src/host/node/disk-host.ts";
import { Dice, DiskModel } from "./disk-model.ts";

const [file = "", format = "", seed = "", log = ""] = process.argv.slice(2);
const disk = await openDisk(nodeDiskHost, { path: file, format: format as DiskFormat, readOnly: false });
const dice = new Dice(Number(seed));
const model = new DiskModel(disk.sizeBytes);
const descriptor = openSync(log, "w");
for (;;) {
  writeSync(descriptor, "b"); // a step begins
  await model.step(disk, dice);
  writeSync(descriptor, "e"); // and has ended
}
