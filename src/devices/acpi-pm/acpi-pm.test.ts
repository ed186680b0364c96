import { expect, test } from "vitest";
import { ManualClock } from "../../bus/manual-clock.ts";
import { AcpiPm } from "./acpi-pm.ts";

function powerManagement(options: { timerBits?: 24 | 32 } = {}) {
  const clock = new ManualClock();
  const seen = { sci: false, offs: 0 };
  const pm = new AcpiPm(
    clock,
    {
      set: (on) => {
        seen.sci = on;
      },
    },
    () => {
      seen.offs++;
    },
    options,
  );
  return { clock, pm, seen };
}

test("writing S5 with SLP_EN to PM1a_CNT powers off; other sleep types do not", () => {
  const { pm, seen } = powerManagement();
  pm.registers.writePort(4, 2, 0x2401); // SLP_TYP 1
  expect(seen.offs).toBe(0);
  pm.registers.writePort(4, 2, 0x2001);
  expect(seen.offs).toBe(1);
  expect(pm.registers.readPort(4, 2)).toBe(0x0001); // SLP_EN reads as 0
});

test("the power button interrupts in ACPI mode until its status is cleared", () => {
  const { pm, seen } = powerManagement();
  pm.registers.writePort(2, 2, 0x0100); // PWRBTN_EN
  pm.press();
  expect(seen.sci).toBe(false);
  pm.smiCommand.writePort(0, 1, 0xf1);
  expect(pm.registers.readPort(4, 2)).toBe(0x0001); // SCI_EN
  expect(seen.sci).toBe(true);
  expect(pm.registers.readPort(0, 4)).toBe(0x01000100);
  pm.registers.writePort(0, 2, 0x0100);
  expect(seen.sci).toBe(false);
  pm.smiCommand.writePort(0, 1, 0xf0);
  expect(pm.registers.readPort(4, 2)).toBe(0);
});

test("the timer counts at 3.579545 MHz and wraps after 24 bits", () => {
  const { clock, pm } = powerManagement();
  clock.advance(1_000_000_000);
  expect(pm.registers.readPort(8, 4)).toBe(3_579_545);
  clock.advance(4_000_000_000);
  expect(pm.registers.readPort(8, 4)).toBe(5 * 3_579_545 - 0x1000000);
  expect(pm.registers.readPort(8, 1)).toBe((5 * 3_579_545) % 256);
});

test("a 32-bit timer does not wrap there", () => {
  const { clock, pm } = powerManagement({ timerBits: 32 });
  clock.advance(5_000_000_000);
  expect(pm.registers.readPort(8, 4)).toBe(5 * 3_579_545);
});

test("TMR_STS is set when the top bit changes, and interrupts if enabled", () => {
  const { clock, pm, seen } = powerManagement();
  pm.smiCommand.writePort(0, 1, 0xf1);
  pm.registers.writePort(2, 2, 0x0001);
  clock.advance(2_343_000_000); // 2**23 ticks take 2.3434 s
  expect(seen.sci).toBe(false);
  clock.advance(1_000_000);
  expect(seen.sci).toBe(true);
  expect(pm.registers.readPort(0, 2)).toBe(1);
  pm.registers.writePort(0, 2, 1);
  expect(seen.sci).toBe(false);
  clock.advance(2_344_000_000);
  expect(seen.sci).toBe(true);
});

test("general-purpose events interrupt by their enable bits and clear bytewise", () => {
  const { pm, seen } = powerManagement();
  pm.smiCommand.writePort(0, 1, 0xf1);
  pm.raiseGeneralPurposeEvent(9);
  expect(seen.sci).toBe(false);
  pm.registers.writePort(15, 1, 0x02); // GPE0_EN, high byte
  expect(seen.sci).toBe(true);
  expect(pm.registers.readPort(12, 4)).toBe(0x02000200);
  pm.registers.writePort(13, 1, 0x02);
  expect(seen.sci).toBe(false);
});

test("a restored device still interrupts", () => {
  const { pm } = powerManagement();
  pm.registers.writePort(2, 2, 0x0100);
  pm.smiCommand.writePort(0, 1, 0xf1);
  pm.press();
  let sci = false;
  new AcpiPm(
    new ManualClock(),
    {
      set: (on) => {
        sci = on;
      },
    },
    () => {},
    {},
    pm.state,
  );
  expect(sci).toBe(true);
});
