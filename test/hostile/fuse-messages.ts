import { ROOT } from "../../src/host/shared-folder.ts";
import { OPCODE } from "../../src/virtio/fs/protocol.ts";
import { ByteWriter } from "../../src/virtio/sharing/byte-writer.ts";
import type { Dice } from "../disk/disk-model.ts";
import { type HostileFolder, NAMES } from "./shared-folder-rig.ts";

const OPCODES = Object.values(OPCODE).filter((opcode) => opcode !== OPCODE.INIT && opcode !== OPCODE.DESTROY);
/** Asked for more often than others, so that there are nodes and handles to ask with. */
const OFTEN = [OPCODE.LOOKUP, OPCODE.CREATE, OPCODE.CREATE, OPCODE.OPEN, OPCODE.OPENDIR];
const MOST_KNOWN = 16;
const SIZES = [0, 1, 7, 4096, 100_000, 2 ** 31, 2 ** 32 - 1];
const OFFSETS = [
  0n,
  1n,
  4096n,
  1n << 31n,
  1n << 40n,
  (1n << 53n) - 1n,
  1n << 53n,
  1n << 63n,
  (1n << 64n) - 1n,
];
/** Requests whose reply begins with a node. */
const MAKE_NODES: readonly number[] = [
  ...[OPCODE.LOOKUP, OPCODE.MKNOD, OPCODE.MKDIR, OPCODE.SYMLINK, OPCODE.LINK, OPCODE.CREATE],
];
const CREATE_HANDLE_AT = 128;

/** FUSE requests that are almost right, by a driver that remembers nodes and handles. */
export class FuseMessages {
  readonly #dice: Dice;
  readonly #folder: HostileFolder;
  readonly #nodes = [ROOT];
  readonly #handles: number[] = [1];
  #unique = 0n;

  constructor(dice: Dice, folder: HostileFolder) {
    this.#dice = dice;
    this.#folder = folder;
  }

  start(): Uint8Array {
    this.#nodes.splice(0, Number.POSITIVE_INFINITY, ROOT);
    this.#handles.splice(0, Number.POSITIVE_INFINITY, 1);
    const flags = this.#dice.below(2) === 0 ? 0xffffffff : this.#dice.below(2 ** 24);
    return this.#message(OPCODE.INIT, 0, new ByteWriter().u32(7).u32(31).u32(65536).u32(flags));
  }

  next(): Uint8Array {
    const dice = this.#dice;
    const kind = dice.below(40);
    const opcodes = dice.below(3) === 0 ? OFTEN : OPCODES;
    const opcode = kind === 0 ? dice.below(60) : (opcodes[dice.below(opcodes.length)] ?? 1);
    if (kind === 1 && dice.below(5) === 0) return this.start();
    const body = this.#body(opcode);
    if (kind === 2) for (let i = 0; i < 4; i++) body.written[dice.below(body.length)] = dice.below(256);
    const message = this.#message(opcode, this.#node(), body);
    return kind === 3 ? message.subarray(0, dice.below(message.length + 1)) : message;
  }

  /** Remembers what a reply names. */
  learn(request: Uint8Array, reply: Uint8Array): void {
    if (request.length < 40 || reply.length < 24) return;
    const view = new DataView(reply.buffer, reply.byteOffset, reply.length);
    if (view.getInt32(4, true) !== 0) return;
    const opcode = new DataView(request.buffer, request.byteOffset).getUint32(4, true);
    const number = (at: number) => Number(view.getBigUint64(16 + at, true));
    if (MAKE_NODES.includes(opcode)) remember(this.#nodes, number(0));
    if (opcode === OPCODE.OPEN || opcode === OPCODE.OPENDIR) remember(this.#handles, number(0));
    if (opcode === OPCODE.CREATE && reply.length >= 16 + CREATE_HANDLE_AT + 8)
      remember(this.#handles, number(CREATE_HANDLE_AT));
  }

  #message(opcode: number, node: number, body: ByteWriter): Uint8Array {
    const dice = this.#dice;
    const to = new ByteWriter()
      .u32(40 + body.length)
      .u32(opcode)
      .u64(this.#unique++)
      .u64(node);
    to.u32(dice.below(3) * 500)
      .u32(dice.below(3) * 500)
      .u32(1)
      .u32(0);
    return to.bytes(body.written).written;
  }

  #node(): number {
    const dice = this.#dice;
    return dice.below(30) === 0 ? dice.below(1000) : (this.#nodes[dice.below(this.#nodes.length)] ?? ROOT);
  }

  #handle(): number {
    const dice = this.#dice;
    return dice.below(30) === 0 ? dice.below(1000) : (this.#handles[dice.below(this.#handles.length)] ?? 1);
  }

  #name(): string {
    return NAMES[this.#dice.below(this.#dice.below(2) === 0 ? 8 : NAMES.length)] ?? "a";
  }

  #offset(): bigint {
    const dice = this.#dice;
    return dice.below(4) === 0 ? (OFFSETS[dice.below(OFFSETS.length)] ?? 0n) : BigInt(dice.below(9000));
  }

  #size(): number {
    return this.#dice.below(4) === 0 ? (SIZES[this.#dice.below(SIZES.length)] ?? 0) : this.#dice.below(5000);
  }

  #any(): number {
    return this.#dice.below(2 ** 32);
  }

  #body(opcode: number): ByteWriter {
    const to = new ByteWriter();
    const named = () => to.text(this.#name()).u8(0);
    const mode = () => this.#dice.below(0o10000) | (this.#dice.below(4) === 0 ? 0o20000 : 0o100000);
    switch (opcode) {
      case OPCODE.LOOKUP:
      case OPCODE.UNLINK:
      case OPCODE.RMDIR:
      case OPCODE.REMOVEXATTR:
        return named();
      case OPCODE.FORGET:
        return to.u64(this.#dice.below(3));
      case OPCODE.BATCH_FORGET: {
        const count = this.#dice.below(4);
        to.u32(this.#dice.below(20) === 0 ? this.#any() : count).u32(0);
        for (let i = 0; i < count; i++) to.u64(this.#node()).u64(this.#dice.below(3));
        return to;
      }
      case OPCODE.SETATTR:
        to.u32(this.#dice.below(4096)).u32(0).u64(this.#handle()).u64(this.#offset()).u64(0);
        for (let i = 0; i < 6; i++) i < 3 ? to.u64(this.#offset()) : to.u32(this.#any());
        return to.u32(mode()).u32(0).u32(this.#dice.below(3)).u32(this.#dice.below(3)).u32(0);
      case OPCODE.SYMLINK:
        return named().text(this.#folder.targets(this.#dice)).u8(0);
      case OPCODE.MKNOD:
        to.u32(mode()).u32(this.#any()).u32(0).u32(0);
        return named();
      case OPCODE.MKDIR:
        to.u32(mode()).u32(0);
        return named();
      case OPCODE.RENAME:
        to.u64(this.#node());
        named();
        return named();
      case OPCODE.RENAME2:
        to.u64(this.#node()).u32(this.#dice.below(8)).u32(0);
        named();
        return named();
      case OPCODE.LINK:
        to.u64(this.#node());
        return named();
      case OPCODE.OPEN:
      case OPCODE.OPENDIR:
        return to.u32(this.#dice.below(0o200000)).u32(0);
      case OPCODE.CREATE:
        to.u32(this.#dice.below(0o200000)).u32(mode()).u32(0).u32(0);
        return named();
      case OPCODE.READ:
      case OPCODE.READDIR:
      case OPCODE.READDIRPLUS:
        return to.u64(this.#handle()).u64(this.#offset()).u32(this.#size()).u32(0).u64(0).u32(0).u32(0);
      case OPCODE.WRITE: {
        const length = this.#dice.below(3000);
        to.u64(this.#handle()).u64(this.#offset());
        to.u32(this.#dice.below(20) === 0 ? this.#size() : length)
          .u32(0)
          .u64(0)
          .u32(0)
          .u32(0);
        return to.zeroes(length);
      }
      case OPCODE.INTERRUPT:
        return to.u64(Number(this.#unique) - this.#dice.below(50));
      case OPCODE.SETXATTR: {
        const length = this.#dice.below(100);
        to.u32(this.#dice.below(20) === 0 ? this.#size() : length).u32(this.#dice.below(3));
        to.text(this.#dice.below(2) === 0 ? "user.a" : this.#name()).u8(0);
        return to.zeroes(length);
      }
      case OPCODE.GETXATTR:
        to.u32(this.#size()).u32(0);
        return to.text(this.#dice.below(2) === 0 ? "user.a" : this.#name()).u8(0);
      default:
        return to
          .u64(this.#handle())
          .u32(this.#dice.below(8))
          .u32(this.#dice.below(8))
          .u64(this.#dice.below(3));
    }
  }
}

export function remember(known: number[], number: number): void {
  known.push(number);
  if (known.length > MOST_KNOWN) known.splice(1, 1);
}
