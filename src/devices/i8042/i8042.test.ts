import { expect, test } from "vitest";
import { I8042 } from "./i8042.ts";
import { Ps2Keyboard } from "./ps2-keyboard.ts";
import { Ps2Mouse } from "./ps2-mouse.ts";
import { translateScancode } from "./scancode-translation.ts";

function controller() {
  const events: string[] = [];
  const lines = { keyboard: false, aux: false };
  const keyboard = new Ps2Keyboard();
  const mouse = new Ps2Mouse();
  const chip = new I8042(
    {
      set: (on) => {
        lines.keyboard = on;
      },
    },
    {
      set: (on) => {
        lines.aux = on;
      },
    },
    { resetSystem: () => events.push("reset"), setA20: (on) => events.push(`A20 ${on}`) },
    keyboard,
    mouse,
  );
  const command = (value: number) => chip.command.writePort(0, 1, value);
  const write = (value: number) => chip.data.writePort(0, 1, value);
  const status = () => chip.command.readPort(0, 1);
  /** Reads until the output buffer is empty. */
  const drain = () => {
    const bytes: number[] = [];
    while ((status() & 1) !== 0) bytes.push(chip.data.readPort(0, 1));
    return bytes;
  };
  return { chip, keyboard, mouse, events, lines, command, write, status, drain };
}

test("Linux's probe: empty buffer, self-test, command byte that keeps what is written", () => {
  const { command, write, drain, status } = controller();
  expect(status()).toBe(0x14);
  command(0xaa);
  expect(drain()).toEqual([0x55]);
  command(0x20);
  expect(drain()).toEqual([0x47]);
  command(0x60);
  write(0x74);
  command(0x20);
  expect(drain()).toEqual([0x74]);
  command(0xab);
  expect(drain()).toEqual([0x00]);
});

test("Linux's probe of the aux port: loop, interrupt, disable and enable, no multiplexer", () => {
  const { command, write, drain, status, lines } = controller();
  command(0xd3);
  write(0x5a);
  expect(status() & 0x21).toBe(0x21);
  expect(lines).toEqual({ keyboard: false, aux: true });
  expect(drain()).toEqual([0x5a]);
  expect(lines.aux).toBe(false);
  command(0xa9);
  expect(drain()).toEqual([0x00]);
  command(0xa7);
  command(0x20);
  expect(drain()).toEqual([0x67]);
  command(0xa8);
  command(0x20);
  expect(drain()).toEqual([0x47]);
  command(0xd3);
  write(0xa4);
  expect(drain()).toEqual([0xa4]);
});

test("the keyboard resets, identifies itself and takes LEDs and scan code set", () => {
  const { write, drain, keyboard } = controller();
  write(0xff);
  expect(drain()).toEqual([0xfa, 0xaa]);
  write(0xf2);
  expect(drain()).toEqual([0xfa, 0xab, 0x41]); // 0x83 translated
  write(0xed);
  write(0x02);
  expect(drain()).toEqual([0xfa, 0xfa]);
  expect(keyboard.state.leds).toBe(2);
  write(0xf0);
  write(0x00);
  expect(drain()).toEqual([0xfa, 0xfa, 0x41]); // set 2, translated
});

test("scan codes are translated to set 1 and interrupt one byte at a time", () => {
  const { chip, keyboard, lines } = controller();
  expect(keyboard.send([0x1c, 0xf0, 0x1c])).toBe(true); // A pressed, A released
  expect(lines.keyboard).toBe(true);
  expect(chip.data.readPort(0, 1)).toBe(0x1e);
  expect(lines.keyboard).toBe(true);
  expect(chip.data.readPort(0, 1)).toBe(0x9e);
  expect(lines.keyboard).toBe(false);
});

test("the translation is one to one on the codes of keys", () => {
  const codes = Array.from({ length: 0x7f }, (_, index) => translateScancode(index + 1));
  expect(new Set(codes).size).toBe(0x7f);
});

test("a disabled keyboard port holds scan codes back", () => {
  const { command, keyboard, drain } = controller();
  command(0xad);
  keyboard.send([0x1c]);
  expect(drain()).toEqual([]);
  command(0xae);
  expect(drain()).toEqual([0x1e]);
});

test("the mouse resets, knocks as a wheel mouse and reports motion", () => {
  const { command, write, drain, mouse, lines } = controller();
  const toMouse = (...bytes: number[]) => {
    for (const byte of bytes) {
      command(0xd4);
      write(byte);
    }
  };
  toMouse(0xff);
  expect(drain()).toEqual([0xfa, 0xaa, 0x00]);
  toMouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2);
  expect(drain()).toEqual([0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0x03]);
  mouse.move(1, 1, 0, 0);
  toMouse(0xe9);
  expect(drain()).toEqual([0xfa, 0x00, 0x02, 80]);
  toMouse(0xf4);
  expect(drain()).toEqual([0xfa, 0x08, 1, 1, 0]);
  mouse.move(-2, 300, -1, 1);
  expect(lines.aux).toBe(true);
  expect(drain()).toEqual([0x19, 0xfe, 0xff, 0xff, 0x09, 0x00, 45, 0x00]);
});

test("0xfe pulses reset; the output port switches A20", () => {
  const { command, write, events, drain } = controller();
  command(0xfe);
  command(0xd1);
  write(0xdd);
  command(0xd0);
  expect(drain()).toEqual([0xcd]);
  command(0xdf);
  expect(events).toEqual(["reset", "A20 false", "A20 true"]);
});

test("a restored controller gives the byte that waited", () => {
  const { chip, keyboard } = controller();
  keyboard.send([0x1c]);
  const quiet = { set() {} };
  const outputs = { resetSystem() {}, setA20() {} };
  const restored = new I8042(
    quiet,
    quiet,
    outputs,
    new Ps2Keyboard(keyboard.state),
    new Ps2Mouse(),
    chip.state,
  );
  expect(restored.data.readPort(0, 1)).toBe(0x1e);
});
