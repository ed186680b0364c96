import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createMachine } from "../../src/cli/create-machine.ts";
import { CORE_WASM } from "../../src/host/node/core-module.ts";
import { EventLoop } from "../../src/host/node/event-loop.ts";
import { readWholeFile } from "../../src/host/node/files.ts";
import { hostTime } from "../../src/host/node/host-time.ts";
import { HostPort } from "../../src/virtio/console/host-port.ts";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT } from "./console.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const TIMEOUT_MS = 240_000;

/** Types each line at the guest's prompt; `ports` belong to its virtio console. */
async function runWithPorts(ports: readonly HostPort[], lines: readonly string[]): Promise<string> {
  if (!guest.available) return "";
  const loop = new EventLoop();
  const waiting = [...lines];
  let output = "";
  let read = 0;
  const machine = createMachine({
    core: readWholeFile(CORE_WASM),
    memoryBytes: 256 << 20,
    engine: "interpreter",
    deterministic: false,
    debugExitPort: undefined,
    noReboot: false,
    boot: {
      kernel: new Uint8Array(readFileSync(guest.kernelPath)),
      commandLine: "console=ttyS0 quiet",
      modules: [{ bytes: new Uint8Array(readFileSync(guest.initrdPath ?? "")), commandLine: "" }],
    },
    trace: [],
    disks: [],
    networks: [],
    rng: false,
    ports,
    host: {
      ...hostTime(loop),
      serialCongested: () => false,
      writeSerial: (bytes) => {
        output += new TextDecoder("latin1").decode(bytes);
        const at = output.indexOf(PROMPT, read);
        const line = at < 0 ? undefined : waiting.shift();
        if (line === undefined) return;
        read = at + PROMPT.length;
        machine.receiveSerial(new TextEncoder().encode(`${line}\n`));
      },
    },
    report: () => {},
  });
  const timer = setTimeout(() => machine.stop(), TIMEOUT_MS);
  await machine.run();
  clearTimeout(timer);
  return output;
}

test.skipIf(!guest.available)(
  `Linux finds a port by its name, and bytes pass both ways${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    const received: string[] = [];
    const opened: boolean[] = [];
    const agent: HostPort = new HostPort("org.example.agent", {
      receive: (bytes) => {
        received.push(new TextDecoder().decode(bytes));
        agent.write(new TextEncoder().encode("answer from the host\n"));
      },
      guestOpened: (open) => opened.push(open),
    });
    const bulk: string[] = [];
    const other = new HostPort("other", {
      receive: (bytes) => bulk.push(new TextDecoder("latin1").decode(bytes)),
    });
    agent.open();
    other.open();
    const output = await runWithPorts(
      [agent, other],
      [
        "cat /sys/class/virtio-ports/*/name",
        'exec 3<>/dev/vport0p0; echo question >&3; read -r line <&3; echo "got: $line"; exec 3>&-',
        "yes | head -c 300000 > /dev/vport0p1; ls /dev/vport*; poweroff",
      ],
    );
    expect(output).toMatch(/org\.example\.agent\r\nother\r\n/);
    expect(received).toEqual(["question\n"]);
    expect(output).toContain("got: answer from the host");
    expect(opened).toEqual([true, false]);
    expect(bulk.join("")).toBe("y\n".repeat(150_000));
  },
);
