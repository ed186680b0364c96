// A writer of ACPI Machine Language: each function returns the encoding of one
// term. Only what static descriptions need; no control flow.
// Source: ACPI Specification, "ACPI Machine Language (AML) Specification".

/** An encoded AML term. */
export type Aml = readonly number[];

/** `path` as in ASL: segments of up to four characters joined by dots, with an optional leading backslash. */
function nameString(path: string): Aml {
  const root = path.startsWith("\\");
  const segments = path
    .slice(root ? 1 : 0)
    .split(".")
    .filter((segment) => segment !== "");
  const prefix =
    segments.length === 0 ? [0x00] : segments.length === 1 ? [] : segments.length === 2 ? [0x2e] : [0x2f];
  const count = segments.length > 2 ? [segments.length] : [];
  const characters = segments.flatMap((segment) => ascii(segment.padEnd(4, "_")));
  return [...(root ? [0x5c] : []), ...prefix, ...count, ...characters];
}

/** PkgLength, which counts itself, in front of `content`. */
function withPackageLength(content: Aml): Aml {
  const { length } = content;
  if (length + 1 < 1 << 6) return [length + 1, ...content];
  const extraBytes = length + 2 < 1 << 12 ? 1 : length + 3 < 1 << 20 ? 2 : 3;
  const total = length + 1 + extraBytes;
  const rest = Array.from({ length: extraBytes }, (_, n) => (total >>> (4 + 8 * n)) & 0xff);
  return [(extraBytes << 6) | (total & 0xf), ...rest, ...content];
}

/** The shortest encoding of an integer below 2**32. */
export function integer(value: number): Aml {
  if (value === 0 || value === 1) return [value];
  if (value <= 0xff) return [0x0a, value];
  if (value <= 0xffff) return [0x0b, ...littleEndian(value, 2)];
  return [0x0c, ...littleEndian(value, 4)];
}

export function packageOf(elements: readonly Aml[]): Aml {
  return [0x12, ...withPackageLength([elements.length, ...elements.flat()])];
}

export function buffer(bytes: readonly number[]): Aml {
  return [0x11, ...withPackageLength([...integer(bytes.length), ...bytes])];
}

export function name(path: string, value: Aml): Aml {
  return [0x08, ...nameString(path), ...value];
}

export function scope(path: string, content: readonly Aml[]): Aml {
  return [0x10, ...withPackageLength([...nameString(path), ...content.flat()])];
}

export function device(path: string, content: readonly Aml[]): Aml {
  return [0x5b, 0x82, ...withPackageLength([...nameString(path), ...content.flat()])];
}

/** A hardware ID such as "PNP0501" in its compressed form: an integer. */
export function eisaId(id: string): Aml {
  const letter = (index: number) => (id.charCodeAt(index) - 0x40) & 0x1f;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  return [0x0c, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
}

export function littleEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, n) => Math.floor(value / 2 ** (8 * n)) & 0xff);
}

export function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}
