// Plain data as JSON and back, with what JSON has no notation for: bigint, byte arrays, Infinity.
// {"$big": "decimal"}, {"$bytes": "hexadecimal"}, {"$words": [numbers]}, {"$number": "Infinity"}.

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Text that does not depend on the JavaScript engine or its version. */
export function encodePlainData(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === "bigint") return { $big: part.toString() };
    if (part instanceof Uint8Array) return { $bytes: toHex(part) };
    if (part instanceof Uint32Array) return { $words: [...part] };
    if (typeof part === "number" && !Number.isFinite(part)) return { $number: String(part) };
    return part;
  });
}

/** @throws {SyntaxError} When the text is not what `encodePlainData` gives. */
export function decodePlainData(text: string): unknown {
  return revive(JSON.parse(text));
}

/** Replaces, in place, what stands for values that JSON has no notation for. */
function revive(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (typeof value[i] === "object") value[i] = revive(value[i]);
    return value;
  }
  if ("$big" in value) return BigInt(String(value.$big));
  if ("$bytes" in value) return fromHex(String(value.$bytes));
  if ("$words" in value) return Uint32Array.from(value.$words as number[]);
  if ("$number" in value) return Number(value.$number);
  const parts = value as Record<string, unknown>;
  for (const name of Object.keys(parts)) {
    if (name === "__proto__") throw new SyntaxError("__proto__ is not plain data");
    const part = parts[name];
    if (typeof part === "object") parts[name] = revive(part);
  }
  return parts;
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || /[^0-9a-f]/.test(text)) throw new SyntaxError("not hexadecimal");
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = (digit(text.charCodeAt(2 * i)) << 4) | digit(text.charCodeAt(2 * i + 1));
  return bytes;
}

function digit(code: number): number {
  return code < 0x60 ? code - 0x30 : code - 0x57;
}

/**
 * Where `value` differs in kind from `model`, as a path such as "hpet.timers[1]"; undefined where it nowhere does.
 * Kinds are those of typeof, with arrays, byte arrays and null told apart. A null in one may be anything in the
 * other, and arrays may differ in length: what they mean is the device's business.
 */
export function differenceInKind(value: unknown, model: unknown): string | undefined {
  if (value === null || model === null) return undefined;
  if (kindOf(value) !== kindOf(model)) return "";
  if (Array.isArray(value) && Array.isArray(model)) {
    if (model.length === 0) return undefined;
    for (let i = 0; i < value.length; i++) {
      const difference = differenceInKind(value[i], model[i] ?? model[0]);
      if (difference !== undefined) return joinPath(`[${i}]`, difference);
    }
    return undefined;
  }
  if (kindOf(model) !== "object") return undefined;
  const [parts, models] = [value as Record<string, unknown>, model as Record<string, unknown>];
  for (const name of Object.keys(parts)) {
    if (!(name in models)) return name;
    const difference = differenceInKind(parts[name], models[name]);
    if (difference !== undefined) return joinPath(name, difference);
  }
  return Object.keys(models).find((name) => !(name in parts));
}

function joinPath(name: string, rest: string): string {
  return rest === "" || rest.startsWith("[") ? name + rest : `${name}.${rest}`;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof Uint32Array) return "words";
  return typeof value;
}
