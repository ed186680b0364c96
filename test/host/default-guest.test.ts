import { spawn, spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";

const guest = await fetchGuest("default");
const hasQemu = spawnSync("qemu-system-x86_64", ["--version"]).status === 0;
const obstacle = !guest.available ? guest.reason : hasQemu ? undefined : "there is no qemu-system-x86_64";

/** Boots the guest in QEMU and types each line when the prompt has come again; returns all it printed. */
function typeInQemu(kernelPath: string, initrdPath: string, lines: readonly string[]): Promise<string> {
  const guestOptions = ["-kernel", kernelPath, "-initrd", initrdPath, "-append", "console=ttyS0 quiet"];
  const child = spawn("qemu-system-x86_64", ["-accel", "tcg", "-m", "512", "-nographic", ...guestOptions]);
  const waiting = [...lines];
  let output = "";
  let read = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    const prompt = output.indexOf("root@ringfence:", read);
    const next = prompt < 0 ? undefined : waiting.shift();
    if (next === undefined) return;
    read = output.length;
    child.stdin.write(`${next}\n`);
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill(), 170_000);
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(timer);
      resolve(output);
    });
  });
}

test.skipIf(obstacle !== undefined)(
  `the default guest boots to a shell and powers off${obstacle === undefined ? "" : ` (skipped: ${obstacle})`}`,
  { timeout: 180_000 },
  async () => {
    if (!guest.available) return;
    const lines = ["uname -a", "top -b -n 1 | head -4", "ls /dev | wc -l", "poweroff"];
    const output = await typeInQemu(guest.kernelPath, guest.initrdPath ?? "", lines);
    expect(output).toMatch(/Linux ringfence 6\.\S+-cloud-amd64/);
    expect(output).toContain("Load average:");
    expect(output).not.toMatch(/not found|No such|can't|Kernel panic/);
    expect(output).toContain("reboot: Power down");
  },
);
