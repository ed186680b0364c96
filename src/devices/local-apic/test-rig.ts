import { ManualClock } from "../../bus/manual-clock.ts";
import { ApicFabric } from "./interrupt-fabric.ts";
import { LocalApic } from "./local-apic.ts";
import { resetState } from "./state.ts";

/** A clock for tests that moves to a time instead of by one. */
class TestClock extends ManualClock {
  advanceTo(nowNs: number): void {
    this.advance(nowNs - this.nowNs());
  }
}

/** Local APICs with IDs 0, 1, ... on one fabric, software-enabled, and what they told their processors. */
export function apicRig(count = 1) {
  const clock = new TestClock();
  const fabric = new ApicFabric();
  const log: string[] = [];
  const pending: boolean[] = new Array<boolean>(count).fill(false);
  const apics = Array.from({ length: count }, (_, id) => {
    const apic = new LocalApic(
      {
        clock,
        fabric,
        tscToNs: (tsc) => Number(tsc),
        onInterruptPending: (on) => {
          pending[id] = on;
        },
        onNonMaskableInterrupt: () => log.push(`${id}: NMI`),
        onInit: () => log.push(`${id}: INIT`),
        onStartup: (page) => log.push(`${id}: startup ${page}`),
        acknowledgeExternal: () => 0x08,
      },
      resetState(id, id === 0),
    );
    apic.writeMemory(0x0f0, 4, 0x1ff); // SVR: enabled
    fabric.addLocalApic(apic);
    return apic;
  });
  const apic = apics[0] as LocalApic;
  return { clock, fabric, log, pending, apics, apic };
}
