import type { AcpiPmState } from "../devices/acpi-pm/acpi-pm.ts";
import type { HpetState } from "../devices/hpet/hpet.ts";
import type { I8042State } from "../devices/i8042/i8042.ts";
import type { Ps2KeyboardState } from "../devices/i8042/ps2-keyboard.ts";
import type { Ps2MouseState } from "../devices/i8042/ps2-mouse.ts";
import type { IoApicState } from "../devices/io-apic/io-apic.ts";
import type { LocalApicState } from "../devices/local-apic/state.ts";
import type { PciFunctionState } from "../devices/pci-host/pci-function.ts";
import type { PciHostState } from "../devices/pci-host/pci-host.ts";
import type { Pic8259State } from "../devices/pic8259/pic8259.ts";
import type { Pit8254State } from "../devices/pit8254/pit8254.ts";
import type { RtcCmosState } from "../devices/rtc-cmos/rtc-cmos.ts";
import type { SystemControlState } from "../devices/system-control/system-control.ts";
import type { Uart16550State } from "../devices/uart16550/uart16550.ts";
import type { VirtioPciState } from "../virtio/transport/virtio-pci.ts";

/**
 * The state of all devices of a board, as plain data. Wires have none of their own: interrupt controllers know the
 * levels of their inputs, and each device drives its lines anew when it is made from its state.
 */
export interface BoardState {
  localApic: LocalApicState;
  ioApic: IoApicState;
  pic: Pic8259State;
  uart: Uart16550State;
  /** null: the machine has no COM2 */
  secondUart: Uart16550State | null;
  power: AcpiPmState;
  pci: {
    host: PciHostState;
    hostBridge: PciFunctionState;
    isaBridge: PciFunctionState;
    acpiFunction: PciFunctionState;
  };
  pit: Pit8254State;
  rtc: RtcCmosState;
  hpet: HpetState;
  keyboard: Ps2KeyboardState;
  mouse: Ps2MouseState;
  i8042: I8042State;
  systemControl: SystemControlState;
  /** In the order of their slots */
  virtio: VirtioPciState[];
}
