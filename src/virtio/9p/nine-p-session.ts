import { byteCount } from "../../host/byte-pieces.ts";
import { FolderError } from "../../host/linux-errors.ts";
import {
  type FolderEntry,
  type NodeId,
  ROOT,
  type SharedFolder,
  TYPE_FILE,
  TYPE_FOLDER,
  TYPE_MASK,
} from "../../host/shared-folder.ts";
import type { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { O_EXCL, openMode } from "../sharing/linux-flags.ts";
import { DataReply, type MessageMemory } from "../sharing/message-memory.ts";
import { finishAttribute, openAttribute, readAttribute, writeAttribute } from "./attributes.ts";
import { FidTable } from "./fid-table.ts";
import { listFolder } from "./folder-listing.ts";
import { getLock, setLock } from "./nine-p-locks.ts";
import * as P from "./protocol.ts";
import { atPlace, step } from "./steps.ts";
import { readChanges, readString, writeAttributes, writeQid, writeSpace, writeString } from "./structures.ts";

const NOTHING = new ByteWriter(0);

/** What comes behind the header of a reply; data may be in place behind that already. It is good until the next call. */
export type NinePReply = ByteWriter | DataReply | Promise<ByteWriter>;

/**
 * The conversation of a driver with one shared folder.
 *
 * Source: see protocol.ts.
 */
export class NinePSession {
  readonly #folder: SharedFolder;
  readonly #fids: FidTable;
  /** Requests under way that have a reply to come, by tag. */
  readonly #underWay = new Map<number, Promise<unknown>>();
  readonly #reply = new ByteWriter(8192);
  #mostBytes = 0;

  constructor(folder: SharedFolder) {
    this.#folder = folder;
    this.#fids = new FidTable(folder);
  }

  /** The driver is another one, or begins anew. */
  reset(): void {
    this.#mostBytes = 0;
    this.#fids.reset();
    this.#underWay.clear();
    this.#folder.reset();
  }

  /** Plain data, for a snapshot; nothing is under way then. */
  saveState(): object {
    return { mostBytes: this.#mostBytes, fids: this.#fids.state, folder: this.#folder.saveState() };
  }

  /** Returns what does not fit. */
  restoreState(state: unknown): string | undefined {
    const { mostBytes, fids, folder } = state as { mostBytes?: unknown; fids?: unknown; folder?: unknown };
    this.reset();
    const isSize = Number.isSafeInteger(mostBytes) && (mostBytes as number) <= P.MOST_MESSAGE_BYTES;
    if (!isSize || !this.#fids.restore(fids)) return "a 9p device of another version";
    this.#mostBytes = mostBytes as number;
    return this.#folder.restoreState(folder);
  }

  /**
   * Does what is asked for. Of a write `body` need not have the data.
   * @throws What `errnoOf` translates.
   */
  handle(type: number, tag: number, body: ByteReader, memory: MessageMemory): NinePReply {
    if (type === P.TYPE.VERSION) return this.#version(body);
    if (this.#mostBytes === 0) throw new FolderError("EIO");
    const reply =
      this.#aboutFids(type, body) ?? this.#aboutNames(type, body) ?? this.#aboutFiles(type, body, memory);
    if (reply instanceof Promise) {
      const settled = reply.then(
        () => this.#underWay.delete(tag),
        () => this.#underWay.delete(tag),
      );
      this.#underWay.set(tag, settled);
    }
    return reply;
  }

  #version(body: ByteReader): ByteWriter {
    const wanted = body.u32();
    const known = readString(body) === P.VERSION;
    if (wanted < P.LEAST_MESSAGE_BYTES) throw new FolderError("EINVAL");
    this.reset();
    const agreed = Math.min(wanted, P.MOST_MESSAGE_BYTES);
    if (known) this.#mostBytes = agreed;
    return writeString(new ByteWriter(24).u32(agreed), known ? P.VERSION : "unknown");
  }

  #aboutFids(type: number, body: ByteReader): NinePReply | undefined {
    switch (type) {
      case P.TYPE.ATTACH: {
        const number = body.u32();
        body.skip(4); // a fid of an authentication, which is not asked for
        readString(body);
        readString(body);
        const user = body.u32();
        this.#fids.checkFree(number);
        const attributes = this.#folder.attributes(ROOT);
        this.#folder.refer(ROOT);
        this.#fids.add(number, { node: ROOT, user });
        return writeQid(this.#reply.clear(), attributes);
      }
      case P.TYPE.WALK:
        return this.#walk(body);
      case P.TYPE.CLUNK: {
        const fid = this.#fids.remove(body.u32());
        try {
          finishAttribute(this.#folder, fid);
        } finally {
          this.#folder.forget(fid.node, 1);
        }
        return NOTHING;
      }
      case P.TYPE.REMOVE: {
        const fid = this.#fids.remove(body.u32());
        try {
          this.#removeNode(fid.node);
        } finally {
          this.#folder.forget(fid.node, 1);
        }
        return NOTHING;
      }
      case P.TYPE.FLUSH:
        // What is under way is answered first; the driver waits for this reply.
        return this.#underWay.get(body.u16())?.then(() => NOTHING) ?? NOTHING;
      default:
        return undefined;
    }
  }

  /** Twalk: from a fid down some names to another fid. When a name is not there, the reply says how far it went. */
  #walk(body: ByteReader): ByteWriter {
    const [number, newNumber] = [body.u32(), body.u32()];
    const from = this.#fids.get(number);
    const count = body.u16();
    if (count > P.MOST_WALK_NAMES) throw new FolderError("EINVAL");
    if (from.handle !== undefined && count > 0) throw new FolderError("EINVAL");
    const names = Array.from({ length: count }, () => readString(body));
    if (newNumber !== number) this.#fids.checkFree(newNumber);
    else if (from.handle !== undefined) throw new FolderError("EINVAL");
    const reply = this.#reply.clear().u16(count);
    let node = from.node;
    this.#folder.refer(node);
    let steps = 0;
    try {
      for (const name of names) {
        const entry = step(this.#folder, node, name);
        if (entry === undefined) break;
        this.#folder.forget(node, 1);
        node = entry.node;
        writeQid(reply, entry.attributes);
        steps++;
      }
      if (steps === 0 && count > 0) throw new FolderError("ENOENT");
    } catch (error) {
      this.#folder.forget(node, 1);
      if (steps === 0) throw error;
      return reply.patchU16(0, steps);
    }
    if (steps < count) this.#folder.forget(node, 1);
    else if (newNumber === number) this.#fids.replace(number, { node, user: from.user });
    else this.#fids.add(newNumber, { node, user: from.user });
    return reply.patchU16(0, steps);
  }

  #removeNode(node: NodeId): void {
    const isFolder = (this.#folder.attributes(node).mode & TYPE_MASK) === TYPE_FOLDER;
    atPlace(this.#folder, node, (parent, name) => {
      if (isFolder) this.#folder.removeFolder(parent, name);
      else this.#folder.removeFile(parent, name);
    });
  }

  /** Requests on names in the folder that a fid stands for. */
  #aboutNames(type: number, body: ByteReader): ByteWriter | undefined {
    const folder = this.#folder;
    switch (type) {
      case P.TYPE.LCREATE: {
        const number = body.u32();
        const { node, user, handle } = this.#fids.get(number);
        if (handle !== undefined) throw new FolderError("EINVAL");
        const name = readString(body);
        const [flags, permissions, group] = [body.u32(), body.u32(), body.u32()];
        const by = { owner: user, group };
        const exclusive = (flags & O_EXCL) !== 0;
        const made = folder.create(node, name, { ...openMode(flags), permissions, exclusive, by });
        this.#fids.replace(number, { node: made.node, user, handle: made.handle });
        return writeQid(this.#reply.clear(), made.attributes).u32(0);
      }
      case P.TYPE.SYMLINK: {
        const { node, user } = this.#fids.get(body.u32());
        const [name, target, group] = [readString(body), readString(body), body.u32()];
        return this.#made(folder.makeLink(node, name, target, { owner: user, group }));
      }
      case P.TYPE.MKNOD: {
        const { node, user } = this.#fids.get(body.u32());
        const [name, mode] = [readString(body), body.u32()];
        body.skip(8);
        if ((mode & TYPE_MASK) !== TYPE_FILE) throw new FolderError("EPERM");
        return this.#made(folder.makeFile(node, name, mode, { owner: user, group: body.u32() }));
      }
      case P.TYPE.MKDIR: {
        const { node, user } = this.#fids.get(body.u32());
        const [name, mode, group] = [readString(body), body.u32(), body.u32()];
        return this.#made(folder.makeFolder(node, name, mode, { owner: user, group }));
      }
      case P.TYPE.LINK: {
        const { node: parent } = this.#fids.get(body.u32());
        const { node } = this.#fids.get(body.u32());
        this.#made(folder.link(node, parent, readString(body)));
        return NOTHING;
      }
      case P.TYPE.RENAME: {
        const { node } = this.#fids.get(body.u32());
        const { node: parent } = this.#fids.get(body.u32());
        const newName = readString(body);
        atPlace(this.#folder, node, (from, name) => folder.rename(from, name, parent, newName, false));
        return NOTHING;
      }
      case P.TYPE.RENAMEAT: {
        const { node: parent } = this.#fids.get(body.u32());
        const name = readString(body);
        const { node: newParent } = this.#fids.get(body.u32());
        folder.rename(parent, name, newParent, readString(body), false);
        return NOTHING;
      }
      case P.TYPE.UNLINKAT: {
        const { node } = this.#fids.get(body.u32());
        const name = readString(body);
        if ((body.u32() & P.UNLINK_FOLDER) !== 0) folder.removeFolder(node, name);
        else folder.removeFile(node, name);
        return NOTHING;
      }
      default:
        return undefined;
    }
  }

  /** The driver walks to what it has made if it wants it. */
  #made({ node, attributes }: FolderEntry): ByteWriter {
    this.#folder.forget(node, 1);
    return writeQid(this.#reply.clear(), attributes);
  }

  #aboutFiles(type: number, body: ByteReader, memory: MessageMemory): NinePReply {
    const folder = this.#folder;
    const number = body.u32();
    const fid = this.#fids.get(number);
    const { node } = fid;
    const reply = this.#reply.clear();
    const room = Math.max(0, Math.min(memory.room, this.#mostBytes - P.HEADER_BYTES) - P.COUNT_BYTES);
    switch (type) {
      case P.TYPE.LOPEN: {
        if (fid.handle !== undefined) throw new FolderError("EINVAL");
        const attributes = folder.attributes(node);
        const isFolder = (attributes.mode & TYPE_MASK) === TYPE_FOLDER;
        fid.handle = isFolder ? folder.openFolder(node) : folder.open(node, openMode(body.u32()));
        return writeQid(reply, attributes).u32(0);
      }
      case P.TYPE.GETATTR:
        return writeAttributes(reply, folder.attributes(node));
      case P.TYPE.SETATTR:
        folder.change(node, readChanges(body));
        return NOTHING;
      case P.TYPE.READLINK:
        return writeString(reply, folder.readLink(node));
      case P.TYPE.STATFS:
        return writeSpace(reply, folder.space());
      case P.TYPE.READ: {
        const [offset, count] = [body.size(), Math.min(body.u32(), room)];
        if (fid.attribute !== undefined) return readAttribute(fid.attribute, offset, count);
        const handle = this.#fids.handle(number);
        const length = memory.reply(P.COUNT_BYTES, count, (into) => folder.read(handle, offset, into));
        return new DataReply(reply.u32(length).written, length);
      }
      case P.TYPE.WRITE: {
        const [offset, count] = [body.size(), body.u32()];
        const pieces = memory.sent(P.WRITE_FIELD_BYTES, count);
        if (byteCount(pieces) < count) throw new FolderError("EINVAL");
        if (fid.attribute !== undefined) return writeAttribute(fid.attribute, offset, pieces, reply);
        return reply.u32(folder.write(this.#fids.handle(number), offset, pieces));
      }
      case P.TYPE.READDIR: {
        const handle = this.#fids.handle(number);
        const [from, most] = [body.size(), Math.min(body.u32(), room)];
        return listFolder(folder, { node, handle, from, most }, reply);
      }
      case P.TYPE.FSYNC: {
        const dataOnly = body.left >= 4 && body.u32() !== 0;
        return folder.flush(this.#fids.handle(number), dataOnly).then(() => NOTHING);
      }
      case P.TYPE.LOCK:
        return setLock(body);
      case P.TYPE.GETLOCK:
        return getLock(body);
      default:
        return openAttribute(folder, this.#fids, type, fid, body);
    }
  }
}
