import { readdirSync } from "node:fs";
import process from "node:process";
import { expect, test } from "vitest";
import { Virtio9p } from "../../src/virtio/9p/virtio-9p.ts";
import { VirtioFs } from "../../src/virtio/fs/virtio-fs.ts";
import { TestOperations } from "../../src/virtio/test-rig.ts";
import { Dice } from "../disk/disk-model.ts";
import { FuseMessages } from "./fuse-messages.ts";
import { NinePMessages } from "./nine-p-messages.ts";
import { HostileFolder, MessageDriver } from "./shared-folder-rig.ts";

/** A longer run: npm run test:fuzz-devices */
const CASES = Number(process.env["RINGFENCE_SHARE_CASES"] ?? 20_000);
const FIRST_SEED = Number(process.env["RINGFENCE_SHARE_SEED"] ?? 0);
const CASES_PER_FOLDER = 4000;
const MOST_GROWTH_BYTES = 200 << 20;

const operations = new TestOperations();
const SUBJECTS = {
  "virtio-fs": {
    queue: 1,
    device: ({ share }: HostileFolder) => new VirtioFs({ tag: "fuzz", folder: share, operations }),
    messages: (dice: Dice, folder: HostileFolder) => new FuseMessages(dice, folder),
  },
  "virtio-9p": {
    queue: 0,
    device: ({ share }: HostileFolder) => new Virtio9p({ tag: "fuzz", folder: share, operations }),
    messages: (dice: Dice, folder: HostileFolder) => new NinePMessages(dice, folder),
  },
};

const descriptors = () => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);

test.each(Object.keys(SUBJECTS) as (keyof typeof SUBJECTS)[])(
  `no message harms %s or reaches out of the shared folder, over ${CASES} messages while the host's folder changes`,
  { timeout: 7_200_000 },
  async (name) => {
    const { device, messages: make, queue } = SUBJECTS[name];
    const before = descriptors();
    let replies = 0;
    let successes = 0;
    let memoryBefore = 0;
    for (let seed = FIRST_SEED; (seed - FIRST_SEED) * CASES_PER_FOLDER < CASES; seed++) {
      const dice = new Dice(seed);
      const folder = new HostileFolder();
      const messages = make(dice, folder);
      const driver = new MessageDriver(device(folder), queue, () => messages.start());
      for (let i = 0; i < CASES_PER_FOLDER; i++) {
        if (dice.below(200) === 0) folder.disturb(dice);
        const request = messages.next();
        const reply = driver.send(request, dice.below(200) === 0 ? dice.below(64) : undefined);
        if (reply === undefined) {
          // The device needed a reset, or the reply waits for something.
          if (dice.below(20) === 0) driver.start();
          continue;
        }
        replies++;
        if (isSuccess(name, reply)) successes++;
        messages.learn(request, reply);
        if (dice.below(500) === 0) await operations.idle();
      }
      await operations.idle();
      expect(folder.damage, `seed ${seed}`).toBe("");
      folder.share.reset();
      expect(folder.share.counts, `seed ${seed}`).toEqual({ nodes: 1, handles: 0 });
      folder.remove();
      if (seed === FIRST_SEED + 1) memoryBefore = process.memoryUsage.rss();
    }
    expect(descriptors()).toBe(before);
    if (memoryBefore > 0) expect(process.memoryUsage.rss() - memoryBefore).toBeLessThan(MOST_GROWTH_BYTES);
    // A fuzzer whose every message is refused tests nothing.
    expect(successes).toBeGreaterThan(replies / 10);
  },
);

function isSuccess(name: keyof typeof SUBJECTS, reply: Uint8Array): boolean {
  if (name === "virtio-9p") return reply[4] !== 7;
  return reply.length >= 16 && reply[4] === 0;
}
