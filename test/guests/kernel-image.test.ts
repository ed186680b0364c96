import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { planBoot } from "../../src/boot/detect.ts";
import { parseLinuxImage } from "../../src/boot/linux-image.ts";
import { firmwareMemoryMap } from "../../src/boot/low-memory.ts";
import { fetchGuest } from "../../tools/fetch-guests.ts";

const RAM_BYTES = 256 << 20;
const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;

test.skipIf(!guest.available)(`a real Debian kernel is planned whole${suffix}`, () => {
  if (!guest.available) return;
  const kernel = new Uint8Array(readFileSync(guest.kernelPath));
  const image = parseLinuxImage(kernel);
  expect(image.preferredAddress).toBe(0x1000000);
  expect(image.commandLineMaximumBytes).toBe(2047);
  expect(image.payload.length % 16).toBe(0);
  const facts = {
    ramBytes: RAM_BYTES,
    memoryMap: firmwareMemoryMap(RAM_BYTES),
    acpiRsdpAddress: 0xe0000,
  };
  const plan = planBoot({ kernel, commandLine: "console=ttyS0", modules: [] }, facts);
  expect(plan.protocol).toBe("linux-64");
});
