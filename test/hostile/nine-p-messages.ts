import { TYPE, VERSION } from "../../src/virtio/9p/protocol.ts";
import { writeString } from "../../src/virtio/9p/structures.ts";
import { ByteWriter } from "../../src/virtio/sharing/byte-writer.ts";
import type { Dice } from "../disk/disk-model.ts";
import { type HostileFolder, NAMES } from "./shared-folder-rig.ts";

const TYPES = Object.values(TYPE).filter((type) => type !== TYPE.VERSION && type !== TYPE.ATTACH);
const FIDS = 12;
const NEED_OPEN: readonly number[] = [TYPE.READ, TYPE.WRITE, TYPE.READDIR, TYPE.FSYNC, TYPE.SETATTR];
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

/** 9P2000.L requests that are almost right, over a few fids. */
export class NinePMessages {
  readonly #dice: Dice;
  readonly #folder: HostileFolder;
  /** Fids that were opened of late. */
  readonly #open: number[] = [];
  #attached = false;

  constructor(dice: Dice, folder: HostileFolder) {
    this.#dice = dice;
    this.#folder = folder;
  }

  start(): Uint8Array {
    this.#attached = false;
    const size = this.#dice.below(4) === 0 ? this.#dice.below(2 ** 32) : 65536;
    return this.#message(TYPE.VERSION, writeString(new ByteWriter().u32(size), VERSION));
  }

  next(): Uint8Array {
    const dice = this.#dice;
    const kind = dice.below(60);
    if (kind === 0 && dice.below(10) === 0) return this.start();
    if (!this.#attached || kind === 1) {
      this.#attached = true;
      const fid = kind === 1 ? this.#fid() : 0;
      const to = writeString(writeString(new ByteWriter().u32(fid).u32(2 ** 32 - 1), "root"), "");
      return this.#message(TYPE.ATTACH, to.u32(dice.below(2) * 1000));
    }
    // Fids to ask with come by walking.
    const walks = dice.below(3) === 0;
    const type = kind === 2 ? dice.below(256) : walks ? TYPE.WALK : (TYPES[dice.below(TYPES.length)] ?? 0);
    const body = this.#body(type);
    if (kind === 3) for (let i = 0; i < 4; i++) body.written[dice.below(body.length)] = dice.below(256);
    const message = this.#message(type, body);
    return kind === 4 ? message.subarray(0, dice.below(message.length + 1)) : message;
  }

  /** Remembers what was opened. */
  learn(request: Uint8Array, reply: Uint8Array): void {
    const [type, answer] = [request[4], reply[4]];
    if ((type !== TYPE.LOPEN && type !== TYPE.LCREATE) || answer !== type + 1 || request.length < 11) return;
    this.#open.push(new DataView(request.buffer, request.byteOffset).getUint32(7, true));
    if (this.#open.length > 4) this.#open.shift();
  }

  #openFid(): number {
    return this.#dice.below(4) === 0 ? this.#fid() : (this.#open[this.#dice.below(this.#open.length)] ?? 1);
  }

  #message(type: number, body: ByteWriter): Uint8Array {
    const size = this.#dice.below(100) === 0 ? this.#dice.below(2 ** 32) : 7 + body.length;
    return new ByteWriter().u32(size).u8(type).u16(this.#dice.below(16)).bytes(body.written).written;
  }

  /** The first one is the root, most of the time. */
  #fid(): number {
    return this.#dice.below(3) === 0 ? 0 : this.#dice.below(FIDS);
  }

  #name(): string {
    return NAMES[this.#dice.below(this.#dice.below(2) === 0 ? 8 : NAMES.length)] ?? "a";
  }

  #offset(): bigint {
    const dice = this.#dice;
    return dice.below(4) === 0 ? (OFFSETS[dice.below(OFFSETS.length)] ?? 0n) : BigInt(dice.below(9000));
  }

  #count(): number {
    return this.#dice.below(4) === 0 ? this.#dice.below(2 ** 32) : this.#dice.below(5000);
  }

  #body(type: number): ByteWriter {
    const dice = this.#dice;
    const to = new ByteWriter().u32(NEED_OPEN.includes(type) ? this.#openFid() : this.#fid());
    const named = () => writeString(to, this.#name());
    const mode = () => dice.below(0o10000) | (dice.below(4) === 0 ? 0o20000 : 0o100000);
    switch (type) {
      case TYPE.WALK: {
        const count = dice.below(10) === 0 ? dice.below(20) : dice.below(3);
        to.u32(1 + dice.below(FIDS)).u16(dice.below(50) === 0 ? dice.below(65536) : count);
        for (let i = 0; i < count; i++) named();
        return to;
      }
      case TYPE.LOPEN:
        return to.u32(dice.below(0o200000));
      case TYPE.LCREATE:
        return named().u32(dice.below(0o200000)).u32(mode()).u32(0);
      case TYPE.SYMLINK:
        return writeString(named(), this.#folder.targets(dice)).u32(0);
      case TYPE.MKNOD:
        return named().u32(mode()).u32(1).u32(3).u32(0);
      case TYPE.MKDIR:
        return named().u32(mode()).u32(0);
      case TYPE.RENAME:
      case TYPE.LINK:
        return writeString(to.u32(this.#fid()), this.#name());
      case TYPE.RENAMEAT:
        return writeString(named().u32(this.#fid()), this.#name());
      case TYPE.UNLINKAT:
        return named().u32(dice.below(2) * 0x200);
      case TYPE.SETATTR:
        to.u32(dice.below(512)).u32(mode()).u32(dice.below(3)).u32(dice.below(3)).u64(this.#offset());
        for (let i = 0; i < 4; i++) to.u64(this.#offset());
        return to;
      case TYPE.READ:
      case TYPE.READDIR:
        return to.u64(this.#offset()).u32(this.#count());
      case TYPE.WRITE: {
        const length = dice.below(3000);
        return to
          .u64(this.#offset())
          .u32(dice.below(20) === 0 ? this.#count() : length)
          .zeroes(length);
      }
      case TYPE.LOCK:
        to.u8(dice.below(4)).u32(dice.below(2)).u64(this.#offset()).u64(this.#offset()).u32(dice.below(3));
        return writeString(to, "client");
      case TYPE.GETLOCK:
        to.u8(dice.below(4)).u64(this.#offset()).u64(this.#offset()).u32(dice.below(3));
        return writeString(to, "client");
      case TYPE.XATTRWALK:
        return writeString(to.u32(this.#fid()), dice.below(2) === 0 ? "user.a" : this.#name());
      case TYPE.XATTRCREATE:
        return writeString(to, "user.a").u64(this.#offset()).u32(dice.below(3));
      default:
        return to.u64(this.#offset());
    }
  }
}
