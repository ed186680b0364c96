import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, RINGFENCE, runGuest } from "./console.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const NAME = `balloon-${process.pid}`;
const MIB = 1 << 20;

function ringfence(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(RINGFENCE, words, { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

async function settled(wanted: (inflatedBytes: number) => boolean): Promise<Record<string, number>> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const info = JSON.parse(ringfence("balloon", "--json", NAME));
    if (wanted(info.inflatedBytes)) return { ...info, ...info.statistics };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("the balloon does not reach its target");
}

test.skipIf(!guest.available)(
  `Debian's driver gives memory up, takes it back, tells statistics and reports free pages${suffix}`,
  { timeout: 400_000 },
  async () => {
    const messages: string[] = [];
    const ended = runGuest(
      ["--name", NAME, "--network", "none", "--balloon"],
      [{ after: PROMPT, type: "echo $((6*7))" }, { after: "42", type: "" }, { after: "reboot: Power down" }],
      300_000,
    ).catch((error: Error) => messages.push(error.message));
    for (let attempt = 0; attempt < 1000; attempt++) {
      if (spawnSync(RINGFENCE, ["exec", NAME, "true"]).status === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const before = await settled((bytes) => bytes === 0);
    expect(before["totalBytes"]).toBeGreaterThan(400 * MIB);
    ringfence("balloon", NAME, "200M");
    const inflated = await settled((bytes) => bytes === 200 * MIB);
    expect((before["freeBytes"] ?? 0) - (inflated["freeBytes"] ?? 0)).toBeGreaterThan(150 * MIB);
    expect(ringfence("exec", NAME, "sh", "-c", "grep -c '^virtio_balloon ' /proc/modules")).toBe("1\n");
    ringfence("balloon", NAME, "0");
    const deflated = await settled((bytes) => bytes === 0);
    expect(deflated["freeBytes"] ?? 0).toBeGreaterThan((inflated["freeBytes"] ?? 0) + 150 * MIB);
    // Free memory is reported a few seconds after it became free.
    for (let attempt = 0; attempt < 100; attempt++) {
      if (JSON.parse(ringfence("balloon", "--json", NAME)).reportedBytes > 0) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    expect(JSON.parse(ringfence("balloon", "--json", NAME)).reportedBytes).toBeGreaterThan(0);
    ringfence("stop", NAME);
    await ended;
    expect(messages).toEqual([]);
  },
);
