import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DiskError } from "../../src/host/block-device.ts";
import { FileStore } from "../../src/host/node/file-store.ts";
import { FileThread, fileThread } from "../../src/host/node/file-thread/file-thread.ts";
import { SLOTS } from "../../src/host/node/file-thread/ring.ts";

const FILE_BYTES = 1 << 20;

let folder: string;
let file: string;
let descriptor: number;
let memory: Uint8Array;
/** Who asks. */
const user = {};
let thread: FileThread;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "ringfence-file-thread-"));
  file = path.join(folder, "disk");
  writeFileSync(
    file,
    new Uint8Array(FILE_BYTES).map((_, i) => i % 251),
  );
  descriptor = openSync(file, "r+");
  memory = new Uint8Array(new SharedArrayBuffer(FILE_BYTES));
  thread = new FileThread({ callsToStart: 1 });
});

afterEach(() => {
  thread.leave(user);
  closeSync(descriptor);
  rmSync(folder, { recursive: true });
});

const call = (
  position: number,
  pieces: readonly Uint8Array[],
  { isWrite = false, of = descriptor } = {},
) => ({
  descriptor: of,
  position,
  isWrite,
  pieces,
});

/** What comes of a call, by the event loop alone. */
const moved = (...parameters: Parameters<typeof call>) =>
  new Promise<number | undefined>((resolve) => {
    expect(thread.begin(user, call(...parameters), resolve)).toBe(true);
  });

const ENDS_AT_ONCE = `process.exit(0);`;

/** Looks for no calls. */
const IDLE = "setInterval(() => {}, 1000);";

/** What a thread has at hand that takes calls. */
const TAKES = `
  import { parentPort, workerData } from "node:worker_threads";
  const { ring, layout: { CONTROL, CONTROL_BYTES, SLOTS, SLOT, SLOT_DOUBLES } } = workerData;
  const words = new Int32Array(ring, 0, CONTROL_BYTES / 4);
  const doubles = new Float64Array(ring, CONTROL_BYTES);
  const take = () => {
    while (Atomics.load(words, CONTROL.asked) === Atomics.load(words, CONTROL.taken));
    return Atomics.add(words, CONTROL.taken, 1) % SLOTS;
  };`;

/** Takes one call, and does not make it. */
const NEVER_READY = `${TAKES} take(); ${IDLE}`;

/** Says of each call that it took a second. */
const SLOW = `${TAKES}
  for (;;) {
    const slot = take();
    doubles[slot * SLOT_DOUBLES + SLOT.moved] = 512;
    doubles[slot * SLOT_DOUBLES + SLOT.tookNs] = 1e9;
    Atomics.store(words, CONTROL.isDone + slot, 1);
    if (Atomics.exchange(words, CONTROL.wantsMessage, 0) === 1) parentPort.postMessage(undefined);
  }`;

function threadOf(source: string): FileThread {
  const entry = path.join(folder, "entry.mjs");
  writeFileSync(entry, source);
  return new FileThread({ callsToStart: 1, entry });
}

test("calls move bytes between a file and shared memory, one piece or several, in their order", async () => {
  const outcomes: string[] = [];
  const begin = (name: string, ...parameters: Parameters<typeof call>) =>
    thread.begin(user, call(...parameters), (bytes) => outcomes.push(`${name} ${bytes}`));
  begin("read", 100, [memory.subarray(0, 1000)]);
  begin("pieces", 512, [memory.subarray(3000, 3001), memory.subarray(2000, 2999)]);
  begin("write", 4096, [memory.subarray(0, 500), memory.subarray(2000, 2012)], { isWrite: true });
  begin("back", 4096, [memory.subarray(5000, 5512)]);
  expect(thread.underWay).toBe(4);
  await expect.poll(() => outcomes).toEqual(["read 1000", "pieces 1000", "write 512", "back 512"]);
  expect([memory[0], memory[999], memory[3000], memory[2000]]).toEqual([100, 95, 10, 11]);
  const expected = [...memory.subarray(0, 500), ...memory.subarray(2000, 2012)];
  expect([...readFileSync(file).subarray(4096, 4608)]).toEqual(expected);
  expect([...memory.subarray(5000, 5512)]).toEqual(expected);
  expect(thread.underWay).toBe(0);
});

test("a read over the file's end moves what there is", async () => {
  const two = [memory.subarray(0, 300), memory.subarray(300, 600)];
  expect(await moved(FILE_BYTES - 400, [memory.subarray(0, 1000)])).toBe(400);
  expect(await moved(FILE_BYTES - 400, two)).toBe(400);
  expect(await moved(FILE_BYTES, [memory.subarray(0, 1000)])).toBe(0);
});

test("a call that fails says so, and those behind it are made", async () => {
  const readOnly = openSync(file, "r");
  const outcomes = [
    moved(0, [memory.subarray(0, 512)], { isWrite: true, of: readOnly }),
    moved(0, [memory.subarray(0, 512)], { of: 0x7fff_0000 }),
    moved(0, [memory.subarray(0, 512)], { of: readOnly }),
  ];
  expect(await Promise.all(outcomes)).toEqual([undefined, undefined, 512]);
  closeSync(readOnly);
});

test("a full ring takes no more, until the first calls have been delivered", async () => {
  const outcomes: (number | undefined)[] = [];
  const begin = () => thread.begin(user, call(0, [memory]), (bytes) => outcomes.push(bytes));
  const begun = Array.from({ length: SLOTS + 2 }, begin);
  expect([begun.filter(Boolean).length, begun.indexOf(false)]).toEqual([SLOTS, SLOTS]);
  await expect.poll(() => outcomes.length).toBe(SLOTS);
  expect([new Set(outcomes), begin()]).toEqual([new Set([FILE_BYTES]), true]);
});

test("memory of its own, other shared memory, and very many pieces go another way", async () => {
  const begin = (pieces: readonly Uint8Array[]) => thread.begin(user, call(0, pieces), () => {});
  const other = new Uint8Array(new SharedArrayBuffer(512));
  expect(begin([new Uint8Array(512)])).toBe(false);
  expect(await moved(0, [memory.subarray(0, 512)])).toBe(512);
  expect(begin([other])).toBe(false);
  expect(begin([memory.subarray(0, 512), other])).toBe(false);
  expect(begin(Array.from({ length: 257 }, (_, i) => memory.subarray(i, i + 1)))).toBe(false);
  expect(begin([])).toBe(false);
  // It ends with its last user, and the next may bring another memory.
  thread.leave({});
  expect(begin([other])).toBe(false);
  thread.leave(user);
  expect(await moved(0, [other])).toBe(512);
});

test("it is started by many calls in a short time", () => {
  thread = new FileThread({ callsToStart: 3 });
  const begin = () => thread.begin(user, call(0, [memory.subarray(0, 512)]), () => {});
  expect([begin(), begin(), begin()]).toEqual([false, false, true]);
});

test("no call is forgotten when the thread goes to sleep, nor when who asks does", async () => {
  thread = new FileThread({ callsToStart: 1, awakeNs: 20_000 });
  const spin = (us: number) => {
    for (const endMs = performance.now() + us / 1000; performance.now() < endMs; );
  };
  let outcomes = 0;
  for (let i = 0; i < 3000; i++) {
    // On a busy host a call may take long, and some behind it are refused.
    while (!thread.begin(user, call(i, [memory.subarray(i, i + 1)]), () => outcomes++));
    // Around the time in which it goes to sleep: on both sides of the race.
    spin((i % 40) * 1.5);
    if (i % 3 === 0) await expect.poll(() => outcomes, { interval: 0 }).toBe(i + 1);
    else if (i % 3 === 1) while (outcomes <= i) thread.poll();
    else if (!thread.awaitSoon(1e9)) await new Promise<void>((resolve) => setImmediate(resolve));
    while (outcomes <= i) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  expect(memory.subarray(0, 3000)).toEqual(Uint8Array.from(readFileSync(file).subarray(0, 3000)));
}, 60_000);

test("the event loop sleeps until a call has been made, and is woken", async () => {
  for (let i = 0; i < 200; i++) expect(await moved(0, [memory])).toBe(FILE_BYTES);
});

test("who waits for outcomes has them, and does not wait where there are none or for long", async () => {
  expect(thread.awaitSoon(1e9)).toBe(false);
  await moved(0, [memory]);
  let bytes: number | undefined;
  thread.begin(user, call(0, [memory.subarray(0, 512)]), (got) => (bytes = got));
  while (!thread.awaitSoon(1e9));
  expect([bytes, thread.underWay, thread.awaitSoon(1e9)]).toEqual([512, 0, false]);
});

test("who waits makes the calls that the thread has not come to, also such that fail", () => {
  thread = threadOf(IDLE);
  const outcomes: (number | undefined)[] = [];
  const begin = (...parameters: Parameters<typeof call>) =>
    thread.begin(user, call(...parameters), (bytes) => outcomes.push(bytes));
  begin(100, [memory.subarray(0, 512)]);
  begin(0, [memory.subarray(0, 512)], { of: 0x7fff_0000 });
  begin(FILE_BYTES - 3, [memory.subarray(512, 513), memory.subarray(600, 1000)]);
  begin(0, [memory.subarray(0, 1), memory.subarray(512, 513)], { isWrite: true });
  for (let i = 1; i <= 4; i++) {
    expect(thread.awaitSoon(1e9)).toBe(true);
    expect(outcomes.length).toBe(i);
  }
  expect(outcomes).toEqual([512, undefined, 3, 2]);
  expect([memory[0], memory[511], memory[512], memory[600]]).toEqual([100, 109, 146, 147]);
  expect([...readFileSync(file).subarray(0, 3)]).toEqual([100, 146, 2]);
});

test("who waits does so for a short time", async () => {
  thread = threadOf(NEVER_READY);
  thread.begin(user, call(0, [memory]), () => {});
  thread.begin(user, call(0, [memory]), () => {});
  await new Promise((resolve) => setTimeout(resolve, 200));
  // The second call is not taken, and stays behind the first.
  expect(thread.awaitSoon(1e9)).toBe(true);
  const startMs = performance.now();
  expect([thread.awaitSoon(1e9), thread.underWay]).toEqual([false, 2]);
  expect(performance.now() - startMs).toBeLessThan(200);
});

test("where a disk is slow, calls go another way for a while", async () => {
  thread = threadOf(SLOW);
  expect(await moved(0, [memory.subarray(0, 512)])).toBe(512);
  const begun = Array.from({ length: 18 }, () =>
    thread.begin(user, call(0, [memory.subarray(0, 512)]), () => {}),
  );
  expect(begun.indexOf(true)).toBe(16);
});

test("calls of a thread that ends go another way, and it is not started again", async () => {
  thread = threadOf(ENDS_AT_ONCE);
  expect(await Promise.all([moved(0, [memory]), moved(0, [memory])])).toEqual([undefined, undefined]);
  expect(thread.begin(user, call(0, [memory]), () => {})).toBe(false);
});

test("a process ends behind its last call, though the thread has not ended", () => {
  const source = `
    import { openSync } from "node:fs";
    import { FileThread } from ${JSON.stringify(path.resolve("src/host/node/file-thread/file-thread.ts"))};
    const thread = new FileThread({ callsToStart: 1, awakeNs: 1e9 });
    const call = { descriptor: openSync(${JSON.stringify(file)}, "r"), position: 0, isWrite: false };
    const pieces = [new Uint8Array(new SharedArrayBuffer(512))];
    thread.begin({}, { ...call, pieces }, (moved) => console.log("moved", moved));`;
  writeFileSync(path.join(folder, "program.mjs"), source);
  const { stdout, stderr, status } = spawnSync(process.execPath, [path.join(folder, "program.mjs")], {
    encoding: "utf8",
    timeout: 20_000,
  });
  expect([stdout, stderr, status]).toEqual(["moved 512\n", "", 0]);
});

test("a file moves many requests by the thread, tells of failures what it tells without, and is closed behind them", async () => {
  const store = await FileStore.open(file, { readOnly: true });
  const into = [memory.subarray(0, 512)];
  const read = () => new Promise((done, failed) => store.readInPlace(FILE_BYTES - 100, into, done, failed));
  const write = () => new Promise<void>((done, failed) => store.writeInPlace(0, into, done, failed));
  const before = await write().catch((error: Error) => error);
  expect(before).toEqual(new DiskError(`${file}: EBADF: bad file descriptor, write`));
  for (let i = 0; i < 100; i++) expect(await read()).toBe(100);
  const failing = write().catch((error: Error) => error);
  expect(fileThread.underWay).toBe(1);
  expect(await failing).toEqual(before);
  const last = read();
  expect(fileThread.underWay).toBe(1);
  await store.close();
  expect(fileThread.underWay).toBe(0);
  expect(await last).toBe(100);
});
