import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { VirtualMachine, VmError } from "ringfence";
import { afterAll, expect, test } from "vitest";
import { IDLE_KERNEL, multibootKernel } from "../snapshot/small-machine.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

/**
 * Echoes the serial port, each byte plus one:
 *
 *     poll: mov edx, 0x3fd
 *           in al, dx
 *           test al, 1
 *           jz poll
 *           mov edx, 0x3f8
 *           in al, dx
 *           inc eax
 *           out dx, al
 *           jmp poll
 */
const ECHO_KERNEL = multibootKernel([
  ...[0xba, 0xfd, 0x03, 0x00, 0x00],
  0xec,
  ...[0xa8, 0x01],
  ...[0x74, 0xf6],
  ...[0xba, 0xf8, 0x03, 0x00, 0x00],
  0xec,
  0x40,
  0xee,
  ...[0xeb, 0xec],
]);
const MEMORY = { memoryBytes: 4 << 20 };

function create(kernel: Uint8Array, options: Parameters<typeof VirtualMachine.create>[0] = {}) {
  return VirtualMachine.create({ ...MEMORY, kernel, ...options });
}

async function echo(machine: VirtualMachine, text: string): Promise<string> {
  const writer = machine.console.writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  writer.releaseLock();
  const reader = machine.console.readable.getReader();
  let answer = "";
  while (answer.length < text.length) {
    const { value, done } = await reader.read();
    if (done) break;
    answer += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return answer;
}

const codeOf = (error: unknown) => (error instanceof VmError ? error.detail.code : String(error));

test("a machine is made, runs, is paused and resumed, and is stopped", async () => {
  const events: string[] = [];
  const machine = await create(ECHO_KERNEL, {
    events: {
      paused: () => events.push("paused"),
      resumed: () => events.push("resumed"),
      ended: () => events.push("ended"),
    },
  });
  expect([machine.state, machine.memoryBytes]).toEqual(["made", 4 << 20]);
  await machine.start();
  expect(await echo(machine, "HAL")).toBe("IBM");
  await machine.pause();
  const { instructions } = await machine.statistics();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await machine.statistics()).instructions).toBe(instructions);
  await machine.resume();
  expect(await echo(machine, "012")).toBe("123");
  expect(await machine.stop()).toEqual({ reason: "stopped" });
  expect(machine.state).toBe("ended");
  expect(await machine.ended).toEqual({ reason: "stopped" });
  expect(events).toEqual(["paused", "resumed", "ended"]);
  await expect(machine.pause()).rejects.toSatisfy((error) => codeOf(error) === "machine-ended");
  await expect(machine.snapshot(path.join(folder, "late"))).rejects.toSatisfy(
    (e) => codeOf(e) === "machine-ended",
  );
});

test("the caller's thread goes on while a machine is busy", async () => {
  await using machine = await create(multibootKernel([0xeb, 0xfe]));
  await machine.start();
  const before = performance.now();
  let turns = 0;
  while (performance.now() - before < 100) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  expect(turns).toBeGreaterThan(20);
  expect((await machine.statistics()).instructions).toBeGreaterThan(0);
});

test("memory is read and written while the machine stands still, and code that is written there is executed", async () => {
  await using machine = await create(ECHO_KERNEL);
  await machine.start();
  expect(await echo(machine, "a")).toBe("b");
  await expect(machine.readMemory(0, 4)).rejects.toSatisfy((error) => codeOf(error) === "machine-not-paused");
  await machine.pause();
  const code = await machine.readMemory(0x100020, 20);
  expect(code[16]).toBe(0x40);
  await machine.writeMemory(0x100030, Uint8Array.of(0x48)); // dec eax
  await expect(machine.readMemory(4 << 20, 1)).rejects.toSatisfy(
    (error) => codeOf(error) === "address-unmapped",
  );
  await machine.resume();
  expect(await echo(machine, "b")).toBe("a");
});

test("snapshots are taken of machines that run, stand still, or have not been started", async () => {
  await using machine = await create(ECHO_KERNEL);
  const file = path.join(folder, "phases.snapshot");
  await machine.snapshot(file);
  await machine.start();
  await machine.snapshot(file);
  await machine.pause();
  const { checksum, pages } = await machine.snapshot(file);
  expect(checksum).toMatch(/^[0-9a-f]{64}$/);
  expect(pages).toBeGreaterThan(1);
  await machine.resume();
  expect(await echo(machine, "a")).toBe("b");
  await using restored = await VirtualMachine.restore(file);
  await restored.start();
  expect(await echo(restored, "x")).toBe("y");
});

test("a clone goes on by itself when the machine it was made of has ended", async () => {
  const machine = await create(ECHO_KERNEL);
  await machine.start();
  await using clone = await machine.clone();
  await machine.stop();
  await clone.start();
  expect(await echo(clone, "1")).toBe("2");
});

test("a machine that cannot be made says why, with a code", async () => {
  const notAKernel = create(Uint8Array.of(1, 2, 3, 4));
  await expect(notAKernel).rejects.toSatisfy((error) => codeOf(error) === "kernel-unrecognised");
  const tooSmall = create(IDLE_KERNEL, { memoryBytes: 4096 });
  await expect(tooSmall).rejects.toSatisfy((error) => codeOf(error) === "memory-size-unsupported");
  const absent = VirtualMachine.restore(path.join(folder, "absent"));
  await expect(absent).rejects.toSatisfy((error) => codeOf(error) === "file-not-found");
  const learning = create(IDLE_KERNEL, { engine: "interpreter", learn: true });
  await expect(learning).rejects.toSatisfy((error) => codeOf(error) === "option-invalid");
});

test("an aborted signal ends a machine, before it is there and when it runs", async () => {
  const aborted = AbortSignal.abort(new Error("not any more"));
  await expect(create(IDLE_KERNEL, { signal: aborted })).rejects.toThrow("not any more");
  const controller = new AbortController();
  const machine = await create(ECHO_KERNEL, { signal: controller.signal });
  await machine.start();
  controller.abort();
  await expect(machine.ended).rejects.toSatisfy((error) => codeOf(error) === "machine-ended");
  expect(machine.state).toBe("ended");
});

test("a guest without the agent runs no commands, and says why", async () => {
  await using machine = await create(IDLE_KERNEL);
  await machine.start();
  await expect(machine.exec("true")).rejects.toThrow("needs the option guestAgent");
});

test("a guest that ends its machine is seen", async () => {
  // mov al, 5; out 0xf4, al
  await using machine = await create(multibootKernel([0xb0, 0x05, 0xe6, 0xf4, 0xf4]), {
    debugExitPort: 0xf4,
  });
  await machine.start();
  expect(await machine.ended).toEqual({ reason: "debug-exit", value: 5 });
  expect(machine.state).toBe("ended");
});

test("a machine that was never started can be stopped", async () => {
  const machine = await create(IDLE_KERNEL);
  expect(await machine.stop()).toEqual({ reason: "stopped" });
  await expect(machine.start()).rejects.toSatisfy((error) => codeOf(error) === "machine-ended");
});
