import * as fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { NodeSharedFolder } from "../../src/host/node/shared-folder/node-shared-folder.ts";
import type { VirtioDevice } from "../../src/virtio/device.ts";
import { TestDriver } from "../../src/virtio/test-rig.ts";
import type { Dice } from "../disk/disk-model.ts";

const REQUEST_AT = 0x40000;
const REPLY_AT = 0x80000;
const REPLY_BYTES = 0x10000;

/** Names that a guest may send: some are there, some never may be. */
export const NAMES = [
  ...["a", "b", "c", "d", "link", "file", "deep", "caf\xe9"],
  ...["", ".", "..", "/", "a/b", "../outside", "../outside/secret", "/etc/passwd", "a/../../outside"],
  ...["x".repeat(255), "y".repeat(256), "z".repeat(5000), "nul\0nul"],
];
const TARGETS = ["../outside", "../outside/secret", "/etc", "/", "a", ".", "..", "link", "/proc/self/root"];

/** A folder to share beside one that nobody may touch, and what a host might do to it meanwhile. */
export class HostileFolder {
  readonly base = fs.mkdtempSync(path.join(tmpdir(), "ringfence-hostile-"));
  readonly inside = path.join(this.base, "inside");
  readonly outside = path.join(this.base, "outside");
  readonly share: NodeSharedFolder;
  readonly #before: string;

  constructor() {
    fs.mkdirSync(path.join(this.inside, "a/deep"), { recursive: true });
    fs.mkdirSync(path.join(this.inside, "b"));
    fs.mkdirSync(path.join(this.outside, "deep"), { recursive: true });
    fs.writeFileSync(path.join(this.inside, "a/file"), "inside");
    for (const name of ["secret", "file", "deep/file", "a"])
      fs.writeFileSync(path.join(this.outside, name), "secret");
    this.#before = describe(this.outside);
    this.share = new NodeSharedFolder(this.inside);
  }

  targets(dice: Dice): string {
    return (
      [...TARGETS, this.outside, path.join(this.outside, "secret")][dice.below(TARGETS.length + 2)] ?? ""
    );
  }

  /** Something that another process does inside of the folder. */
  disturb(dice: Dice): void {
    const names = ["a", "b", "c", "link", "a/deep", "a/file", "b/a"];
    const at = path.join(this.inside, names[dice.below(names.length)] ?? "a");
    const other = path.join(this.inside, names[dice.below(names.length)] ?? "b");
    try {
      const actions = [
        () => fs.rmSync(at, { recursive: true }),
        () => fs.symlinkSync(this.outside, at),
        () => fs.symlinkSync("../outside/deep", at),
        () => fs.symlinkSync("../../outside/secret", at),
        () => fs.renameSync(at, other),
        () => fs.mkdirSync(at),
        () => fs.mkdirSync(at),
        () => fs.writeFileSync(at, "host"),
      ];
      // Following one of its own links outwards is the host's right, and would be told from nothing here.
      if (!fs.realpathSync(path.dirname(at)).startsWith(this.inside)) return;
      if (!fs.realpathSync(path.dirname(other)).startsWith(this.inside)) return;
      if (fs.lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink()) fs.unlinkSync(at);
      actions[dice.below(actions.length)]?.();
    } catch {
      // What is not possible just now does not happen.
    }
  }

  /** What is different outside; empty when nothing was touched. */
  get damage(): string {
    const now = describe(this.outside);
    const stray = fs.readdirSync(this.base).filter((name) => name !== "inside" && name !== "outside");
    return now === this.#before ? stray.join() : `${now} in place of ${this.#before}`;
  }

  remove(): void {
    this.share.dispose();
    fs.rmSync(this.base, { recursive: true, force: true });
  }
}

/** Names, contents, permissions, owners, links and times of all that is below. */
function describe(folder: string): string {
  const names = fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const lines = ["", ...names].map((name) => {
    const file = path.join(folder, name);
    const { mode, uid, gid, nlink, mtimeMs, ctimeMs } = fs.lstatSync(file);
    const content = fs.lstatSync(file).isFile() ? fs.readFileSync(file, "latin1") : "";
    return [name, mode, uid, gid, nlink, mtimeMs, ctimeMs, content].join(" ");
  });
  return lines.join("\n");
}

/** A driver that sends messages to a device. */
export class MessageDriver {
  readonly driver: TestDriver;
  readonly #queue: number;
  readonly #firstMessage: () => Uint8Array;
  #sent = 0;

  /** @param firstMessage What begins the conversation, after a reset too. */
  constructor(device: VirtioDevice, queue: number, firstMessage: () => Uint8Array) {
    this.driver = new TestDriver(device);
    this.#queue = queue;
    this.#firstMessage = firstMessage;
    this.start();
  }

  start(): void {
    this.driver.memory.bytes.fill(0, 0x10000, 0x20000);
    this.driver.initialise();
    this.#sent = 0;
    this.send(this.#firstMessage());
  }

  /** Sends one message; returns the reply that has come by now. `room` may be too small for it. */
  send(message: Uint8Array, room = REPLY_BYTES): Uint8Array | undefined {
    const { driver } = this;
    driver.memory.bytes.set(message, REQUEST_AT);
    driver.add(this.#queue, [
      { address: REQUEST_AT, length: message.length },
      ...(room === 0 ? [] : [{ address: REPLY_AT, length: room, write: true }]),
    ]);
    driver.notify(this.#queue);
    driver.memory.written.length = 0;
    driver.interrupts.length = 0;
    if ((driver.status & 64) !== 0) {
      this.start();
      return undefined;
    }
    // The index of used requests has 16 bits.
    const back = driver.usedCount(this.#queue);
    const isBack = back === ((this.#sent + 1) & 0xffff);
    this.#sent = back;
    if (!isBack) return undefined;
    const { written } = driver.used(this.#queue, (back - 1) & 0xffff);
    return driver.memory.bytes.subarray(REPLY_AT, REPLY_AT + written);
  }
}
