import { FIRMWARE_AREA, FIRMWARE_AREA_END } from "../boot/low-memory.ts";
import type { Registration } from "../bus/access-count.ts";
import type { ByteSink } from "../bus/byte-sink.ts";
import type { Clock, Timer } from "../bus/clock.ts";
import type { DmaMemory } from "../bus/dma-memory.ts";
import { MmioBus } from "../bus/mmio-bus.ts";
import { type AccessBytes, PortBus, type PortDevice } from "../bus/port-bus.ts";
import { TimerQueue } from "../bus/virtual-clock.ts";
import * as pm from "../devices/acpi-pm/acpi-pm.ts";
import { DebugExit } from "../devices/debug-exit/debug-exit.ts";
import { DEBUG_PORT, DebugPort } from "../devices/debug-port/debug-port.ts";
import { HPET_BASE, HPET_BYTES, Hpet } from "../devices/hpet/hpet.ts";
import { AUX_IRQ, I8042, I8042_COMMAND_PORT, I8042_DATA_PORT, KEYBOARD_IRQ } from "../devices/i8042/i8042.ts";
import { Ps2Keyboard } from "../devices/i8042/ps2-keyboard.ts";
import { Ps2Mouse } from "../devices/i8042/ps2-mouse.ts";
import {
  IO_APIC_ADDRESS,
  IO_APIC_BYTES,
  IO_APIC_INPUTS,
  IoApic,
  resetState as resetIoApic,
} from "../devices/io-apic/io-apic.ts";
import { ApicFabric } from "../devices/local-apic/interrupt-fabric.ts";
import { LocalApic } from "../devices/local-apic/local-apic.ts";
import { decodeMessage } from "../devices/local-apic/message-address.ts";
import { resetState as resetLocalApic } from "../devices/local-apic/state.ts";
import * as chipset from "../devices/pci-host/chipset.ts";
import { PCI_ADDRESS_PORT, PCI_DATA_PORT, PciHost } from "../devices/pci-host/pci-host.ts";
import { ELCR_PORT, MASTER_PORT, Pic8259, SLAVE_PORT } from "../devices/pic8259/pic8259.ts";
import { PIT_PORT, Pit8254, SYSTEM_CONTROL_PORT_B } from "../devices/pit8254/pit8254.ts";
import { RTC_PORT, RtcCmos } from "../devices/rtc-cmos/rtc-cmos.ts";
import {
  RESET_CONTROL_PORT,
  SYSTEM_CONTROL_PORT_A,
  SystemControl,
} from "../devices/system-control/system-control.ts";
import { COM1_IRQ, COM1_PORT, COM2_IRQ, COM2_PORT, Uart16550 } from "../devices/uart16550/uart16550.ts";
import type { CreateDevices, DeviceServices } from "../virtio/services.ts";
import { BAR_BYTES } from "../virtio/transport/layout.ts";
import { VirtioPci, type VirtioPciConnections } from "../virtio/transport/virtio-pci.ts";
import { A20Gate, type A20Source } from "./a20-gate.ts";
import { type AcpiTables, buildAcpiTables } from "./acpi/tables.ts";
import { acpiPlatform, IO_APIC_ID, PM_TIMER_BITS } from "./board-description.ts";
import type { BoardState } from "./board-state.ts";
import {
  CuttableLine,
  InterruptWiring,
  LEVEL_TRIGGERED_8_TO_15,
  PIRQ_INTERRUPTS,
} from "./interrupt-wiring.ts";
import { PciWindow } from "./pci-window.ts";
import { restoreDevices } from "./restore-devices.ts";
import type { MachineStatistics } from "./statistics.ts";

/** What a board is handed by its machine. */
export interface BoardConnections {
  nowNs(): number;
  unixTimeMs(): number;
  /** COM1 and the debug port. */
  readonly serialOutput: ByteSink;
  /** COM2; absent: there is none. */
  readonly secondSerialOutput?: ByteSink | undefined;
  readonly debugExitPort: number | undefined;
  /** A device set a timer; the processor may have to return sooner. */
  onTimerScheduled(atNs: number): void;
  onInterruptPending(pending: boolean): void;
  onNonMaskableInterrupt(): void;
  onA20(enabled: boolean): void;
  onReset(): void;
  onPowerOff(): void;
  /** `value`: what the guest wrote. */
  onDebugExit(value: number): void;
  /** Devices in PCI slots, and the memory that they reach; absent: none. */
  readonly virtio?: VirtioConnections | undefined;
}

/** What virtio devices are made with. */
export interface VirtioConnections extends Omit<DeviceServices, "clock"> {
  readonly memory: DmaMemory;
  readonly create: CreateDevices;
}

/** The first PCI device number for virtio; the chipset and a display adapter come before it. */
const FIRST_VIRTIO_SLOT = 3;

/** PIRQRC[A:D] of the ISA bridge. */
const PIRQ_ROUTES = 0x60;

/**
 * All devices of a PC, wired, in the state in which firmware hands them to a
 * kernel. A reset makes a new board.
 *
 * A reset of the processor alone resets everything.
 */
export class Board {
  readonly timers: TimerQueue;
  readonly ports = new PortBus();
  readonly localApic: LocalApic;
  readonly ioApic: IoApic;
  readonly pic: Pic8259;
  readonly pci: PciHost;
  readonly uart: Uart16550;
  /** COM2, where the machine has one. */
  readonly secondUart: Uart16550 | undefined;
  readonly keyboard: Ps2Keyboard;
  readonly mouse: Ps2Mouse;
  readonly #to: BoardConnections;
  /** Made when they are asked for: a restored guest has them in its memory. */
  #acpiTables: AcpiTables | undefined;
  readonly #addresses = new MmioBus();
  readonly #interrupts: InterruptWiring;
  readonly #power: pm.AcpiPm;
  readonly #fabric = new ApicFabric();
  readonly virtio: readonly VirtioPci[];
  /** What was last wrong with each virtio device's driver, by device. */
  readonly brokenDrivers = new Map<string, string>();
  /** Gives the state of every device. */
  readonly #states: () => BoardState;

  /** With a `state`, which becomes the board's own, the board goes on where the one that gave it was. */
  constructor(connections: BoardConnections, state?: BoardState) {
    this.#to = connections;
    this.timers = new TimerQueue(() => connections.nowNs());
    const clock = this.#watchedClock();

    const fabric = this.#fabric;
    this.localApic = new LocalApic(
      {
        clock,
        fabric,
        // The time-stamp counter counts the clock's nanoseconds.
        tscToNs: Number,
        onInterruptPending: (pending) => connections.onInterruptPending(pending),
        onNonMaskableInterrupt: () => connections.onNonMaskableInterrupt(),
        onInit: () => connections.onReset(),
        onStartup() {}, // only a processor that waits after INIT takes it
        acknowledgeExternal: () => this.pic.acknowledge(),
      },
      state?.localApic ?? resetLocalApic(0, true),
    );
    fabric.addLocalApic(this.localApic);
    this.ioApic = new IoApic(fabric, state?.ioApic ?? resetIoApic(IO_APIC_ID));
    fabric.addIoApic(this.ioApic);
    this.pic = new Pic8259(this.localApic.lint0, state?.pic);
    if (state === undefined) this.#prepareInterrupts();
    this.#interrupts = new InterruptWiring(this.pic, this.ioApic);

    const com1 = this.#interrupts.source(COM1_IRQ);
    this.uart = new Uart16550(com1, connections.serialOutput, clock, state?.uart);
    const { secondSerialOutput } = connections;
    if (secondSerialOutput !== undefined) {
      const com2 = this.#interrupts.source(COM2_IRQ);
      this.secondUart = new Uart16550(com2, secondSerialOutput, clock, state?.secondUart ?? undefined);
    }
    const sci = this.#interrupts.source(pm.SCI_IRQ);
    const pmOptions = { timerBits: PM_TIMER_BITS } as const;
    this.#power = new pm.AcpiPm(clock, sci, () => connections.onPowerOff(), pmOptions, state?.power);
    const pci = this.#createPci(state?.pci);
    this.pci = pci.host;
    this.#addInterruptControllers();
    const timeKeepers = this.#addTimeKeepers(clock, state);
    this.keyboard = new Ps2Keyboard(state?.keyboard);
    this.mouse = new Ps2Mouse(state?.mouse);
    const others = this.#addOtherPorts(state);
    this.#states = () => ({
      localApic: this.localApic.state,
      ioApic: this.ioApic.state,
      pic: this.pic.state,
      uart: this.uart.state,
      secondUart: this.secondUart?.state ?? null,
      power: this.#power.state,
      pci: pci.state(),
      ...timeKeepers(),
      keyboard: this.keyboard.state,
      mouse: this.mouse.state,
      ...others(),
      virtio: this.virtio.map((transport) => transport.state),
    });
    this.virtio = this.#addVirtio(clock, state?.virtio);
  }

  get acpiTables(): AcpiTables {
    this.#acpiTables ??= buildAcpiTables(acpiPlatform, FIRMWARE_AREA, FIRMWARE_AREA_END);
    return this.#acpiTables;
  }

  /** Everything that a snapshot must carry of the devices, as plain data that shares nothing with them. */
  get state(): BoardState {
    return this.#states();
  }

  readDevice(address: number, bytes: AccessBytes): number {
    const offset = address - this.localApic.pageAddress;
    if (this.#inLocalApic(offset)) return this.localApic.readMemory(offset, bytes);
    return this.#addresses.read(address, bytes);
  }

  writeDevice(address: number, bytes: AccessBytes, value: number): void {
    const offset = address - this.localApic.pageAddress;
    if (this.#inLocalApic(offset)) this.localApic.writeMemory(offset, bytes, value);
    else this.#addresses.write(address, bytes, value);
  }

  pressPowerButton(): void {
    this.#power.press();
  }

  accessStatistics(): Pick<MachineStatistics, "ports" | "addresses" | "unclaimedPorts" | "unclaimedPages"> {
    return {
      ports: this.ports.accessCounts,
      addresses: this.#addresses.accessCounts,
      unclaimedPorts: [...this.ports.unclaimed],
      unclaimedPages: [...this.#addresses.unclaimed],
    };
  }

  /** The processor's own APIC answers before the bus sees the access. */
  #inLocalApic(offset: number): boolean {
    return offset >= 0 && offset < 0x1000 && this.localApic.pageAddress >= 0;
  }

  /** As firmware does before it starts a kernel: level triggers chosen, the 8259s masked but for the cascade. */
  #prepareInterrupts(): void {
    this.localApic.enterVirtualWireMode();
    this.pic.edgeLevelControl.writePort(1, 1, LEVEL_TRIGGERED_8_TO_15);
    this.pic.master.writePort(1, 1, 0xfb);
    this.pic.slave.writePort(1, 1, 0xff);
  }

  #watchedClock(): Clock {
    return {
      nowNs: () => this.timers.nowNs(),
      schedule: (atNs, callback): Timer => {
        const timer = this.timers.schedule(atNs, callback);
        this.#to.onTimerScheduled(atNs);
        return timer;
      },
    };
  }

  #createPci(state?: BoardState["pci"]): { host: PciHost; state(): BoardState["pci"] } {
    const isaInterrupts = Array.from({ length: 16 }, (_, irq) => this.#interrupts.source(irq));
    const router = new chipset.PirqRouter(isaInterrupts);
    const pci = new PciHost(router.pirqs, state?.host);
    const { HOST_BRIDGE_SLOT: host, ISA_BRIDGE_SLOT: isa, ACPI_FUNCTION_SLOT: acpi } = chipset;
    const hostBridge = chipset.createHostBridge(undefined, state?.hostBridge);
    pci.add(host.device, host.function, hostBridge);
    const isaBridge = chipset.createIsaBridge(router, state?.isaBridge);
    if (state === undefined) {
      for (const [index, interrupt] of PIRQ_INTERRUPTS.entries())
        isaBridge.writeConfig(PIRQ_ROUTES + index, 1, interrupt);
    }
    pci.add(isa.device, isa.function, isaBridge);
    let ports = this.#claimPowerPorts(pm.PM_BASE_PORT);
    const moved = (base: number | undefined) => {
      ports.remove();
      if (base !== undefined) ports = this.#claimPowerPorts(base);
    };
    const acpiFunction = chipset.createAcpiFunction(pm.PM_BASE_PORT, moved, state?.acpiFunction);
    if (state !== undefined) moved(chipset.powerPortBase(acpiFunction));
    pci.add(acpi.device, acpi.function, acpiFunction);
    this.#claim(PCI_ADDRESS_PORT, 1, pci.address, "PCI address");
    this.#claim(PCI_DATA_PORT, 4, pci.data, "PCI data");
    return {
      host: pci,
      state: () => ({
        host: pci.state,
        hostBridge: hostBridge.state,
        isaBridge: isaBridge.state,
        acpiFunction: acpiFunction.state,
      }),
    };
  }

  #claimPowerPorts(base: number) {
    return this.ports.registerBehind(base, pm.PM_PORT_COUNT, this.#power.registers, "ACPI power management");
  }

  /** Puts the virtio devices into slots, with their registers placed and their interrupts routed as firmware does. */
  #addVirtio(clock: Clock, states?: BoardState["virtio"]): VirtioPci[] {
    const { virtio } = this.#to;
    if (virtio === undefined) {
      if (states !== undefined) restoreDevices([], states);
      return [];
    }
    const window = new PciWindow();
    const { operations } = virtio;
    const devices = virtio.create({ clock, operations, random: (bytes) => virtio.random(bytes) });
    if (states !== undefined) restoreDevices(devices, states);
    return devices.map((device, index) => {
      let registered: Registration | undefined;
      const state = states?.[index];
      const connections: VirtioPciConnections = {
        memory: virtio.memory,
        messages: { send: (address, data) => this.#sendMessage(address, data) },
        mapped: (address, registers) => {
          registered?.remove();
          registered =
            address === undefined
              ? undefined
              : this.#addresses.registerBehind(address, BAR_BYTES, registers, device.name);
        },
        onBroken: (name, reason) => this.brokenDrivers.set(name, reason),
      };
      const transport = new VirtioPci(device, connections, state);
      const slot = FIRST_VIRTIO_SLOT + index;
      this.pci.add(slot, 0, transport.function);
      if (state === undefined) window.place(transport.function, slot);
      return transport;
    });
  }

  #sendMessage(address: number, data: number): void {
    const message = decodeMessage(address, data);
    if (message !== undefined) this.#fabric.send(message);
  }

  #addInterruptControllers(): void {
    this.#claim(MASTER_PORT, 2, this.pic.master, "8259 master");
    this.#claim(SLAVE_PORT, 2, this.pic.slave, "8259 slave");
    this.#claim(ELCR_PORT, 2, this.pic.edgeLevelControl, "8259 edge/level control");
    this.#addresses.register(IO_APIC_ADDRESS, IO_APIC_BYTES, this.ioApic, "I/O APIC");
  }

  /** The HPET's legacy route takes the place of the PIT and the RTC; so it cuts their lines before they drive them. */
  #addTimeKeepers(clock: Clock, state?: BoardState): () => Pick<BoardState, "pit" | "rtc" | "hpet"> {
    const pitLine = new CuttableLine(this.#interrupts.source(0));
    const rtcLine = new CuttableLine(this.#interrupts.source(8));
    const inputs = Array.from({ length: IO_APIC_INPUTS }, (_, input) => this.ioApic.line(input));
    const legacyRoute = {
      irq0: this.#interrupts.source(0),
      irq8: this.#interrupts.source(8),
      replaced: (on: boolean) => {
        pitLine.cut(on);
        rtcLine.cut(on);
      },
    };
    const hpet = new Hpet(clock, inputs, legacyRoute, state?.hpet);
    this.#addresses.register(HPET_BASE, HPET_BYTES, hpet, "HPET");
    const pit = new Pit8254(clock, pitLine, state?.pit);
    this.#claim(PIT_PORT, 4, pit.counters, "8254 timer");
    this.#claim(SYSTEM_CONTROL_PORT_B, 1, pit.controlB, "system control B");
    const rtc = new RtcCmos(clock, () => this.#to.unixTimeMs(), rtcLine, state?.rtc);
    this.#claim(RTC_PORT, 2, rtc, "real-time clock");
    return () => ({ pit: pit.state, rtc: rtc.state, hpet: hpet.state });
  }

  #addOtherPorts(state?: BoardState): () => Pick<BoardState, "i8042" | "systemControl"> {
    const a20 = new A20Gate((enabled) => this.#to.onA20(enabled), state);
    const outputsOf = (source: A20Source) => ({
      resetSystem: () => this.#to.onReset(),
      setA20: (enabled: boolean) => a20.set(source, enabled),
    });
    const keyboardLine = this.#interrupts.source(KEYBOARD_IRQ);
    const i8042 = new I8042(
      keyboardLine,
      this.#interrupts.source(AUX_IRQ),
      outputsOf("keyboard"),
      this.keyboard,
      this.mouse,
      state?.i8042,
    );
    this.#claim(I8042_DATA_PORT, 1, i8042.data, "keyboard controller data");
    this.#claim(I8042_COMMAND_PORT, 1, i8042.command, "keyboard controller command");
    const systemControl = new SystemControl(outputsOf("port92"), state?.systemControl);
    this.#claim(SYSTEM_CONTROL_PORT_A, 1, systemControl.portA, "system control A");
    this.#claim(RESET_CONTROL_PORT, 1, systemControl.resetControl, "reset control");
    this.#claim(pm.SMI_COMMAND_PORT, 2, this.#power.smiCommand, "SMI command");
    this.#claim(COM1_PORT, 8, this.uart, "COM1");
    if (this.secondUart !== undefined) this.#claim(COM2_PORT, 8, this.secondUart, "COM2");
    this.#claim(DEBUG_PORT, 1, new DebugPort(this.#to.serialOutput), "debug port");
    const { debugExitPort } = this.#to;
    if (debugExitPort !== undefined) {
      const debugExit = new DebugExit((value) => this.#to.onDebugExit(value));
      this.#claim(debugExitPort, 4, debugExit, "debug exit");
    }
    return () => ({ i8042: i8042.state, systemControl: systemControl.state });
  }

  #claim(firstPort: number, count: number, device: PortDevice, name: string): void {
    this.ports.register(firstPort, count, device, name);
  }
}
