import type { DmaMemory } from "../../bus/dma-memory.ts";
import type { MessageInterrupts } from "../../bus/message-interrupts.ts";
import type { MmioDevice } from "../../bus/mmio-bus.ts";
import type { AccessBytes } from "../../bus/port-bus.ts";
import { MSI_X_BYTES, MsiX, type MsiXState } from "../../devices/pci-host/msi-x.ts";
import {
  type PciCapability,
  PciFunction,
  type PciFunctionState,
} from "../../devices/pci-host/pci-function.ts";
import type { VirtioDevice } from "../device.ts";
import { GuestBuffer } from "../queue/guest-buffer.ts";
import { SplitQueue } from "../queue/split-queue.ts";
import { CommonConfig, type CommonConfigState } from "./common-config.ts";
import * as L from "./layout.ts";

const VENDOR_ID = 0x1af4;
/** "PCI Device Discovery": the device's type is added to it. */
const FIRST_DEVICE_ID = 0x1040;
const SUBSYSTEM_ID = 0x1100;
const VENDOR_SPECIFIC = 0x09;

/** Everything a snapshot must carry of the transport; the device's own state is apart. */
export interface VirtioPciState {
  pci: PciFunctionState;
  msiX: MsiXState;
  common: CommonConfigState;
  /** ISR_* bits */
  interruptStatus: number;
  /** The device's name, and what it keeps itself; null: it cannot be saved */
  name: string;
  device: unknown;
}

/** What the transport is handed by its board. */
export interface VirtioPciConnections {
  readonly memory: DmaMemory;
  readonly messages: MessageInterrupts;
  /** The guest has placed, moved or removed the registers, `BAR_BYTES` of them. */
  mapped(address: number | undefined, registers: MmioDevice): void;
  /** A driver broke the rules. */
  onBroken?(device: string, reason: string): void;
}

/** Offsets from a capability's start in configuration space ("Virtio Structure PCI Capabilities"). */
const CAP_BAR = 4;
const CAP_OFFSET = 8;
const CAP_LENGTH = 12;
const CAP_DATA = 16;

/**
 * A virtio device as a PCI function: the modern transport, without the legacy
 * interface. Its memory range has `BAR_BYTES` bytes.
 *
 * Source: virtio 1.2, "Virtio Over PCI Bus".
 */
export class VirtioPci implements MmioDevice {
  readonly function: PciFunction;
  readonly device: VirtioDevice;
  readonly #to: VirtioPciConnections;
  readonly #msiX: MsiX;
  readonly #common: CommonConfig;
  #queues: readonly SplitQueue[] = [];
  #interruptStatus: number;
  #frozen: boolean;

  /** With a `state`, the device must have taken over its part of it. */
  constructor(device: VirtioDevice, connections: VirtioPciConnections, state?: VirtioPciState) {
    this.device = device;
    this.#to = connections;
    this.#msiX = new MsiX(device.queueSizes.length + 1, connections.messages, state?.msiX);
    this.#interruptStatus = state?.interruptStatus ?? 0;
    // The memory of a restored machine is still on its way.
    this.#frozen = state !== undefined;
    this.#common = new CommonConfig(
      {
        features: device.features | L.F_VERSION_1 | L.F_INDIRECT_DESC | L.F_EVENT_IDX,
        queueSizes: device.queueSizes,
        vectors: this.#msiX.vectors,
        onReset: () => this.#reset(),
        isResetting: () => device.usesMemory === true,
        onReady: () => this.#start(),
      },
      state?.common,
    );
    this.function = this.#createFunction(state?.pci);
    if (this.#common.driverReady) this.#start();
  }

  get state(): VirtioPciState {
    // First, since it may give requests back to their queues.
    const device = this.device.saveState?.();
    return {
      pci: this.function.state,
      msiX: this.#msiX.state,
      common: this.#common.state,
      interruptStatus: this.#interruptStatus,
      name: this.device.name,
      device: device ?? null,
    };
  }

  /** From now on the device leaves guest memory alone: it finds no requests. Nothing it has taken may be under way. */
  freeze(): void {
    this.#frozen = true;
  }

  /** The reverse of `freeze`; what has come for the guest meanwhile goes on its way. Also for a restored device. */
  thaw(): void {
    this.#frozen = false;
    for (const queue of this.#queues.keys()) this.#notified(queue);
  }

  readMemory(offset: number, bytes: AccessBytes): number {
    if (offset >= L.MSI_X && offset < L.MSI_X + MSI_X_BYTES)
      return this.#msiX.readMemory(offset - L.MSI_X, bytes);
    if (offset >= L.NOTIFY) return 0;
    if (offset >= L.DEVICE) return this.device.readConfig(offset - L.DEVICE, bytes);
    if (offset >= L.ISR) return offset === L.ISR ? this.#takeInterruptStatus() : 0;
    return this.#common.read(offset, bytes);
  }

  writeMemory(offset: number, bytes: AccessBytes, value: number): void {
    if (offset >= L.MSI_X + MSI_X_BYTES) return;
    if (offset >= L.MSI_X) this.#msiX.writeMemory(offset - L.MSI_X, bytes, value);
    else if (offset >= L.NOTIFY) this.#notified((offset - L.NOTIFY) / L.NOTIFY_MULTIPLIER);
    else if (offset >= L.DEVICE) this.device.writeConfig(offset - L.DEVICE, bytes, value);
    else if (offset < L.ISR) this.#common.write(offset, bytes, value);
  }

  #notified(queue: number): void {
    if (this.#queues[queue] === undefined || this.#common.needsReset) return;
    if (this.function.busMaster) this.device.handle(queue);
  }

  #start(): void {
    const features = this.#common.acceptedFeatures;
    this.#queues = this.#common.queues.map(
      (state) =>
        new SplitQueue(
          {
            memory: this.#to.memory,
            canReachMemory: () => this.function.busMaster && !this.#frozen,
            indirectDescriptors: (features & L.F_INDIRECT_DESC) !== 0n,
            eventIndex: (features & L.F_EVENT_IDX) !== 0n,
            interrupt: () => this.#interrupt(L.ISR_QUEUE, state.vector),
            broken: (reason) => this.#needsReset(reason),
          },
          state,
        ),
    );
    const queues = this.#queues;
    const current = () => this.#queues === queues;
    this.device.start({
      features,
      queues,
      memory: (address, length) =>
        current() && this.function.busMaster && !this.#frozen && this.#to.memory.contains(address, length)
          ? new GuestBuffer(this.#to.memory, [{ address, length }])
          : undefined,
      configChanged: () => {
        if (!current()) return;
        this.#common.nextGeneration();
        this.#interrupt(L.ISR_CONFIG, this.#common.configVector);
      },
      needsReset: (reason) => {
        if (current()) this.#needsReset(reason);
      },
    });
  }

  #reset(): void {
    this.#queues = [];
    this.device.reset();
    this.#interruptStatus = 0;
    this.function.interrupt.set(false);
  }

  #needsReset(reason: string): void {
    if (!this.#common.setNeedsReset()) return;
    this.#to.onBroken?.(this.device.name, reason);
    if (this.#common.driverReady) this.#interrupt(L.ISR_CONFIG, this.#common.configVector);
  }

  #interrupt(cause: number, vector: number): void {
    if (this.#msiX.enabled) {
      if (this.function.busMaster) this.#msiX.signal(vector);
      return;
    }
    this.#interruptStatus |= cause;
    this.function.interrupt.set(true);
  }

  /** Reading the interrupt status clears it and lowers the pin. */
  #takeInterruptStatus(): number {
    const status = this.#interruptStatus;
    this.#interruptStatus = 0;
    this.function.interrupt.set(false);
    return status;
  }

  #createFunction(state: PciFunctionState | undefined): PciFunction {
    const structure = (type: number, offset: number, extra: readonly number[] = []): PciCapability =>
      virtioCapability(type, offset, L.AREA_BYTES, extra);
    const capabilities: PciCapability[] = [
      this.#msiX.capability(L.BAR, L.MSI_X),
      structure(L.CAP_COMMON, L.COMMON),
      structure(L.CAP_NOTIFY, L.NOTIFY, word(L.NOTIFY_MULTIPLIER)),
      structure(L.CAP_ISR, L.ISR),
      structure(L.CAP_DEVICE, L.DEVICE),
      // "PCI configuration access capability": the driver chooses offset and length, and moves data through the end.
      {
        ...virtioCapability(L.CAP_PCI, 0, 0, [0, 0, 0, 0]),
        writable: [0, 0, 0xff, 0, 0, 0, ...new Array<number>(8).fill(0xff), 0xff, 0xff, 0xff, 0xff],
      },
    ];
    const self: PciFunction = new PciFunction(
      {
        vendorId: VENDOR_ID,
        deviceId: FIRST_DEVICE_ID + this.device.deviceId,
        revision: 1,
        classCode: this.device.classCode,
        subsystemVendorId: VENDOR_ID,
        subsystemId: SUBSYSTEM_ID,
        interruptPin: 1,
        bars: [
          { index: L.BAR, kind: "memory", sizeBytes: L.BAR_BYTES, mapped: (at) => this.#to.mapped(at, this) },
        ],
        capabilities,
        configRead: (offset) => {
          const window = this.#window(self, offset);
          return window === undefined ? undefined : this.readMemory(window.at, window.bytes);
        },
        configWritten: (offset, bytes) => {
          const msiX = self.capabilityOffset(0);
          if (offset < msiX + 4 && offset + bytes > msiX + 3)
            this.#msiX.setControl(self.readConfig(msiX + 3, 1));
          const window = this.#window(self, offset);
          if (window !== undefined)
            this.writeMemory(window.at, window.bytes, self.stored(offset, window.bytes));
        },
      },
      state,
    );
    return self;
  }

  /** What an access of the configuration access capability's data at `offset` goes to. */
  #window(self: PciFunction, offset: number): { at: number; bytes: AccessBytes } | undefined {
    // The function is asked while it is being built, too.
    if (offset < 0x40) return undefined;
    const start = self.capabilityOffset(5);
    if (offset !== start + CAP_DATA || self.stored(start + CAP_BAR, 1) !== L.BAR) return undefined;
    const at = self.stored(start + CAP_OFFSET, 4);
    const bytes = self.stored(start + CAP_LENGTH, 4);
    if (bytes !== 1 && bytes !== 2 && bytes !== 4) return undefined;
    return at % bytes === 0 && at + bytes <= L.BAR_BYTES ? { at, bytes } : undefined;
  }
}

/** struct virtio_pci_cap, behind the PCI id and link. */
function virtioCapability(
  type: number,
  offset: number,
  length: number,
  extra: readonly number[],
): PciCapability {
  const body = [16 + extra.length, type, L.BAR, 0, 0, 0, ...word(offset), ...word(length), ...extra];
  return { id: VENDOR_SPECIFIC, body };
}

function word(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
}
