import { readFileSync } from "node:fs";

const MOST = 65536;
const WITHOUT_PROC = 1024;

/** How many files a guest may have open here: half of what this process may, so that disks and sockets keep theirs. */
export function descriptorShare(): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    return Math.min(MOST, Math.max(16, Math.floor(Number(soft ?? MOST) / 2) - 256));
  } catch {
    return WITHOUT_PROC;
  }
}
