import { ByteReader } from "./decoding.ts";
import { OPCODES, type Opcode } from "./opcodes.ts";
import { VALUE_TYPE_BYTE } from "./value-type.ts";

export interface DumpOptions {
  /** Puts its offset in the module before each instruction. */
  readonly offsets?: boolean;
}

const opcodeNames = new Map<number, string>();
for (const [name, { prefix, code }] of Object.entries(OPCODES)) opcodeNames.set(prefix * 0x1000 + code, name);

const typeNames = new Map<number, string>();
for (const [name, byte] of Object.entries(VALUE_TYPE_BYTE)) typeNames.set(byte, name);

function typeName(byte: number): string {
  return typeNames.get(byte) ?? `0x${byte.toString(16)}`;
}

/** A module being read: what later sections need of the earlier ones, and the lines so far. */
class ModuleDump {
  readonly lines: string[] = ["(module"];
  private readonly options: DumpOptions;
  private readonly types: string[] = [];
  private readonly functionTypes: number[] = [];
  private importedFunctions = 0;
  private tables = 0;
  private globals = 0;
  private definedFunctions = 0;
  private readonly names = new Map<number, string>();
  private readonly hints = new Map<number, Map<number, number>>();

  constructor(bytes: Uint8Array, options: DumpOptions) {
    this.options = options;
    const reader = new ByteReader(bytes);
    const magic = new ByteReader(bytes).take(8).join(" ");
    if (magic !== "0 97 115 109 1 0 0 0") throw new Error("wasm: this is no module of version 1");
    reader.take(8);
    const sections: { readonly id: number; readonly reader: ByteReader }[] = [];
    while (!reader.isAtEnd) {
      const id = reader.u8();
      const size = reader.u32();
      sections.push({ id, reader: new ByteReader(bytes, reader.offset, reader.offset + size) });
      reader.take(size);
    }
    // Names stand at the end of a module and are wanted from its start.
    for (const section of sections) if (section.id === 0) this.custom(section.reader);
    for (const section of sections) this.section(section.id, section.reader);
    this.lines.push(")");
  }

  private section(id: number, reader: ByteReader): void {
    switch (id) {
      case 0:
        return;
      case 1:
        reader.vector(() => this.functionType(reader));
        return;
      case 2:
        reader.vector(() => this.importEntry(reader));
        return;
      case 3:
        reader.vector(() => this.functionTypes.push(reader.u32()));
        return;
      case 4:
        reader.vector(() => this.lines.push(`  (table ${this.tables++} ${tableType(reader)})`));
        return;
      case 7:
        reader.vector(() => this.exportEntry(reader));
        return;
      case 9:
        reader.vector(() => this.elements(reader));
        return;
      case 10:
        reader.vector(() => this.functionBody(reader));
        return;
      default:
        this.lines.push(`  ;; section ${id}, ${reader.end - reader.offset} bytes`);
    }
  }

  private custom(reader: ByteReader): void {
    const name = reader.string();
    if (name === "name") {
      while (!reader.isAtEnd) {
        const id = reader.u8();
        const end = reader.u32() + reader.offset;
        if (id === 1) reader.vector(() => this.names.set(reader.u32(), reader.string()));
        reader.offset = end;
      }
    } else if (name === "metadata.code.branch_hint") {
      reader.vector(() => {
        const hints = new Map<number, number>();
        this.hints.set(reader.u32(), hints);
        reader.vector(() => {
          const offset = reader.u32();
          hints.set(offset, reader.take(reader.u32())[0] as number);
        });
      });
    }
  }

  private functionType(reader: ByteReader): void {
    const form = reader.u8();
    if (form !== 0x60) throw new Error(`wasm: type 0x${form.toString(16)} is no function type`);
    const list = (keyword: string): string => {
      const types = reader.vector(() => typeName(reader.u8()));
      return types.length === 0 ? "" : ` (${keyword} ${types.join(" ")})`;
    };
    const type = list("param") + list("result");
    this.lines.push(`  (type ${this.types.length} (func${type}))`);
    this.types.push(type);
  }

  private importEntry(reader: ByteReader): void {
    const from = `"${reader.string()}" "${reader.string()}"`;
    const kind = reader.u8();
    let what: string;
    if (kind === 0) {
      const type = reader.u32();
      what = `func ${this.functionName(this.importedFunctions++)} (type ${type})${this.types[type]}`;
      this.functionTypes.push(type);
    } else if (kind === 1) what = `table ${this.tables++} ${tableType(reader)}`;
    else if (kind === 2) what = `memory ${limits(reader)}`;
    else {
      const type = typeName(reader.u8());
      what = `global ${this.globals++} ${reader.u8() === 0 ? type : `(mut ${type})`}`;
    }
    this.lines.push(`  (import ${from} (${what}))`);
  }

  private exportEntry(reader: ByteReader): void {
    const name = reader.string();
    const kind = ["func", "table", "memory", "global"][reader.u8()] ?? "unknown";
    const index = reader.u32();
    this.lines.push(`  (export "${name}" (${kind} ${kind === "func" ? this.functionName(index) : index}))`);
  }

  private elements(reader: ByteReader): void {
    const flags = reader.u8();
    if (flags !== 0 && flags !== 2) throw new Error(`wasm: an element segment with flags ${flags}`);
    const table = flags === 2 ? reader.u32() : 0;
    reader.u8();
    const offset = reader.s32();
    reader.u8();
    if (flags === 2) reader.u8();
    const functions = reader.vector(() => this.functionName(reader.u32()));
    this.lines.push(`  (elem (table ${table}) (i32.const ${offset}) func ${functions.join(" ")})`);
  }

  private functionName(index: number): string {
    const name = this.names.get(index);
    return name === undefined ? `${index}` : `$${name}`;
  }

  private functionBody(module: ByteReader): void {
    const size = module.u32();
    const start = module.offset;
    const reader = new ByteReader(module.bytes, start, start + size);
    module.take(size);
    const index = this.importedFunctions + this.definedFunctions++;
    const type = this.functionTypes[index] as number;
    this.lines.push(`  (func ${this.functionName(index)} (;${index};) (type ${type})${this.types[type]}`);
    reader.vector(() => {
      const count = reader.u32();
      const group = typeName(reader.u8());
      this.lines.push(`    (local ${count === 1 ? group : `${group} (;x ${count};)`})`);
    });
    const hints = this.hints.get(index);
    let depth = 0;
    while (!reader.isAtEnd) {
      const { offset } = reader;
      const name = instructionName(reader);
      if (name === "end" || name === "else") depth--;
      const hint = hints?.get(offset - start);
      const hintText = hint === undefined ? "" : ` ;; ${hint === 0 ? "unlikely" : "likely"}`;
      const where = this.options.offsets ? `(;${offset.toString(16).padStart(6, "0")};) ` : "";
      const text = `${name}${this.immediate(OPCODES[name as keyof typeof OPCODES], reader)}${hintText}`;
      // The `end` of the body itself is the closing parenthesis.
      if (depth >= 0) this.lines.push(`    ${where}${"  ".repeat(depth)}${text}`);
      if (name === "block" || name === "loop" || name === "if" || name === "else") depth++;
    }
    this.lines.push("  )");
  }

  private immediate(opcode: Opcode, reader: ByteReader): string {
    switch (opcode.immediate) {
      case "none":
        return "";
      case "block": {
        const type = reader.s32();
        return type === -0x40 ? "" : type < 0 ? ` (result ${typeName(type & 0x7f)})` : ` (type ${type})`;
      }
      case "label":
      case "local":
      case "global":
        return ` ${reader.u32()}`;
      case "labels":
        return ` ${reader.vector(() => reader.u32()).join(" ")} ${reader.u32()}`;
      case "function":
        return ` ${this.functionName(reader.u32())}`;
      case "indirect": {
        const type = reader.u32();
        return ` ${reader.u32()} (type ${type})`;
      }
      case "memory":
        return memoryArgument(opcode, reader);
      case "memory-lane":
        return `${memoryArgument(opcode, reader)} ${reader.u8()}`;
      case "memory-index":
      case "fence":
        reader.u8();
        return "";
      case "memory-pair":
        reader.take(2);
        return "";
      case "lane":
        return ` ${reader.u8()}`;
      case "shuffle":
        return ` ${reader.take(16).join(" ")}`;
      case "i32":
        return ` ${reader.s32()}`;
      case "i64":
        return ` ${reader.s64()}`;
      case "f32":
        return ` ${float(reader.f32())}`;
      case "f64":
        return ` ${float(reader.f64())}`;
      case "v128":
        return ` i8x16 ${Array.from(reader.take(16), (byte) => `0x${byte.toString(16)}`).join(" ")}`;
    }
  }
}

function instructionName(reader: ByteReader): string {
  const { offset } = reader;
  const first = reader.u8();
  const isPrefix = first >= 0xfc;
  const key = isPrefix ? first * 0x1000 + reader.u32() : first;
  const name = opcodeNames.get(key);
  if (name === undefined) throw new Error(`wasm: unknown opcode 0x${key.toString(16)} at byte ${offset}`);
  return name;
}

function memoryArgument(opcode: Opcode, reader: ByteReader): string {
  const alignment = reader.u32();
  const offset = reader.u32();
  const offsetText = offset === 0 ? "" : ` offset=${offset}`;
  return alignment === opcode.alignment ? offsetText : `${offsetText} align=${2 ** alignment}`;
}

function limits(reader: ByteReader): string {
  const flags = reader.u8();
  const initial = reader.u32();
  const maximum = (flags & 1) === 0 ? "" : ` ${reader.u32()}`;
  return `${initial}${maximum}${(flags & 2) === 0 ? "" : " shared"}`;
}

function tableType(reader: ByteReader): string {
  const type = typeName(reader.u8());
  return `${limits(reader)} ${type}`;
}

function float(value: number): string {
  if (Object.is(value, -0)) return "-0";
  if (Number.isNaN(value)) return "nan";
  return Number.isFinite(value) ? `${value}` : value < 0 ? "-inf" : "inf";
}

/** The module as text near to the text format, one instruction a line, for people to read. */
export function dumpModule(bytes: Uint8Array, options: DumpOptions = {}): string {
  return `${new ModuleDump(bytes, options).lines.join("\n")}\n`;
}
