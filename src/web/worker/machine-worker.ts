/** The thread that runs the machine. It obeys the page; see protocol.ts. */
import { createMachine, type RunnableMachine } from "../../cli/create-machine.ts";
import { EventLoop } from "../../host/browser/event-loop.ts";
import { monotonicNowNs } from "../../host/browser/monotonic-clock.ts";
import { SerialWindow } from "../../host/browser/serial-window.ts";
import { VmError } from "../../layout/vm-error.ts";
import type { MachineHost } from "../../machine/machine-host.ts";
import type { BootOrder, PageMessage, WorkerMessage } from "../protocol.ts";
import { readSource } from "./read-source.ts";

/** The compiled src/core; the bundler puts it beside this script. */
const CORE_WASM = new URL("../../../build/core.wasm", import.meta.url);

const loop = new EventLoop();
const serial = new SerialWindow((bytes) => tell({ kind: "serial", bytes }));
let machine: RunnableMachine | undefined;

addEventListener("message", ({ data }: MessageEvent<PageMessage>) => {
  switch (data.kind) {
    case "boot":
      boot(data.order).catch(fail);
      break;
    case "keys":
      machine?.receiveSerial(data.bytes);
      break;
    case "shown":
      serial.acknowledge(data.byteCount);
      break;
    case "stop":
      machine?.stop();
      break;
  }
});

async function boot(order: BootOrder): Promise<void> {
  tell({ kind: "progress", line: "reading the kernel" });
  const [core, kernel, initrd] = await Promise.all([
    readSource({ from: "address", url: CORE_WASM.href }),
    readSource(order.kernel),
    order.initrd && readSource(order.initrd),
  ]);
  const host: MachineHost = {
    monotonicNowNs,
    wallClockNowMs: () => Date.now(),
    yield: () => loop.yield(),
    sleep: (durationNs) => loop.sleep(durationNs),
    wake: () => loop.wake(),
    writeSerial: (bytes) => serial.write(bytes),
    serialCongested: () => serial.congested,
  };
  machine = createMachine({
    core,
    host,
    boot: {
      kernel,
      commandLine: order.commandLine,
      modules: initrd === undefined ? [] : [{ bytes: initrd, commandLine: "" }],
    },
    memoryBytes: order.memoryBytes,
    engine: order.engine,
    deterministic: false,
    debugExitPort: undefined,
    noReboot: false,
    trace: [],
    disks: [],
    rng: false,
    networks: [],
    report: () => {},
  });
  tell({ kind: "running" });
  const end = await machine.run();
  tell({ kind: "ended", end, statistics: machine.statistics() });
}

function fail(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  tell({ kind: "failed", line: error instanceof VmError ? text : `internal error, please report: ${text}` });
}

function tell(message: WorkerMessage): void {
  postMessage(message);
}
