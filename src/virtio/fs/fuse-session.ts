import { byteCount } from "../../host/byte-pieces.ts";
import { FolderError } from "../../host/linux-errors.ts";
import { type SharedFolder, TYPE_FILE, TYPE_MASK } from "../../host/shared-folder.ts";
import type { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { O_EXCL, openMode } from "../sharing/linux-flags.ts";
import { DataReply, type MessageMemory } from "../sharing/message-memory.ts";
import { listEntries, listNames } from "./fuse-folders.ts";
import * as P from "./protocol.ts";
import {
  attributesReply,
  entryReply,
  type RequestHeader,
  readChanges,
  spaceReply,
  writeEntry,
  writeOpen,
} from "./structures.ts";

const OPTIONAL_FLAGS =
  P.INIT.ASYNC_READ |
  P.INIT.ATOMIC_O_TRUNC |
  P.INIT.BIG_WRITES |
  P.INIT.AUTO_INVAL_DATA |
  P.INIT.DO_READDIRPLUS |
  P.INIT.READDIRPLUS_AUTO |
  P.INIT.ASYNC_DIO |
  P.INIT.PARALLEL_DIROPS |
  P.INIT.MAX_PAGES |
  P.INIT.CACHE_SYMLINKS;
const BACKGROUND_REQUESTS = 64;
const CONGESTION_THRESHOLD = 48;
const TIME_GRANULARITY_NS = 1;
const NOTHING = new Uint8Array();

/** What comes behind the header of a reply; undefined for a request that has none. */
export type FuseReply = Uint8Array | DataReply | undefined | Promise<Uint8Array>;

/**
 * The conversation of a driver with one shared folder, from INIT to DESTROY.
 *
 * Locks on files are left to the guest's kernel (ENOSYS), which keeps them among its processes as well: Linux' driver
 * cannot interrupt a request, so a process that waited for a lock here could not be killed.
 *
 * Source: Linux, include/uapi/linux/fuse.h; virtio 1.2, "File System Device".
 */
export class FuseSession {
  readonly #folder: SharedFolder;
  #started = false;

  constructor(folder: SharedFolder) {
    this.#folder = folder;
  }

  /** The driver is another one. */
  reset(): void {
    this.#started = false;
    this.#folder.reset();
  }

  /** Plain data, for a snapshot; nothing is under way then. */
  saveState(): object {
    return { started: this.#started, folder: this.#folder.saveState() };
  }

  /** Returns what does not fit. */
  restoreState(state: unknown): string | undefined {
    const { started, folder } = state as { started?: unknown; folder?: unknown };
    this.reset();
    if (typeof started !== "boolean") return "a file system device of another version";
    this.#started = started;
    return this.#folder.restoreState(folder);
  }

  /**
   * Does what is asked for. Of a write `body` need not have the data.
   * @throws What `errnoOf` translates.
   */
  handle(header: RequestHeader, body: ByteReader, memory: MessageMemory): FuseReply {
    if (header.opcode === P.OPCODE.INIT) return this.#start(body);
    if (!this.#started) throw new FolderError("EIO");
    return (
      this.#aboutNames(header, body) ??
      this.#aboutFiles(header, body, memory) ??
      this.#aboutTheRest(header, body)
    );
  }

  #start(body: ByteReader): Uint8Array {
    const [major, minor, readAhead, flags] = [body.u32(), body.u32(), body.u32(), body.u32()];
    // A later one comes again when it has seen which is spoken here.
    if (major > P.FUSE_MAJOR)
      return new ByteWriter(64).u32(P.FUSE_MAJOR).u32(P.FUSE_MINOR).zeroes(56).written;
    if (major < P.FUSE_MAJOR || minor < P.FUSE_LEAST_MINOR) throw new FolderError("EPROTO");
    this.reset();
    this.#started = true;
    const agreed = flags & OPTIONAL_FLAGS;
    const reply = new ByteWriter(64).u32(P.FUSE_MAJOR).u32(P.FUSE_MINOR).u32(readAhead).u32(agreed);
    reply.u16(BACKGROUND_REQUESTS).u16(CONGESTION_THRESHOLD).u32(P.MOST_DATA_BYTES).u32(TIME_GRANULARITY_NS);
    return reply.u16(P.MOST_DATA_BYTES / P.PAGE_BYTES).zeroes(64 - reply.length).written;
  }

  /** Requests on names in the folder `node`. */
  #aboutNames({ opcode, node, owner, group }: RequestHeader, body: ByteReader): Uint8Array | undefined {
    const folder = this.#folder;
    const by = { owner, group };
    switch (opcode) {
      case P.OPCODE.LOOKUP: {
        const entry = folder.lookup(node, body.terminatedText());
        if (entry === undefined) throw new FolderError("ENOENT");
        return entryReply(entry);
      }
      case P.OPCODE.MKNOD: {
        const mode = body.u32();
        body.skip(12);
        if ((mode & TYPE_MASK) !== TYPE_FILE) throw new FolderError("EPERM");
        return entryReply(folder.makeFile(node, body.terminatedText(), mode, by));
      }
      case P.OPCODE.MKDIR: {
        const mode = body.u32();
        body.skip(4);
        return entryReply(folder.makeFolder(node, body.terminatedText(), mode, by));
      }
      case P.OPCODE.SYMLINK: {
        const name = body.terminatedText();
        return entryReply(folder.makeLink(node, name, body.terminatedText(), by));
      }
      case P.OPCODE.LINK: {
        const file = body.size();
        return entryReply(folder.link(file, node, body.terminatedText()));
      }
      case P.OPCODE.CREATE: {
        const [flags, permissions] = [body.u32(), body.u32()];
        body.skip(8);
        const options = { ...openMode(flags), permissions, exclusive: (flags & O_EXCL) !== 0, by };
        const made = folder.create(node, body.terminatedText(), options);
        return writeOpen(writeEntry(new ByteWriter(), made), made.handle).written;
      }
      case P.OPCODE.UNLINK:
        folder.removeFile(node, body.terminatedText());
        return NOTHING;
      case P.OPCODE.RMDIR:
        folder.removeFolder(node, body.terminatedText());
        return NOTHING;
      case P.OPCODE.RENAME:
      case P.OPCODE.RENAME2:
        return this.#rename(opcode === P.OPCODE.RENAME2, node, body);
      default:
        return undefined;
    }
  }

  #rename(hasFlags: boolean, node: number, body: ByteReader): Uint8Array {
    const to = body.size();
    const flags = hasFlags ? body.u32() : 0;
    if (hasFlags) body.skip(4);
    // Exchanging two names is a call that Node.js has not got.
    if ((flags & ~P.RENAME_NOREPLACE) !== 0) throw new FolderError("EINVAL");
    const name = body.terminatedText();
    this.#folder.rename(node, name, to, body.terminatedText(), (flags & P.RENAME_NOREPLACE) !== 0);
    return NOTHING;
  }

  /** Requests on the file or folder `node` and on what is open. */
  #aboutFiles({ opcode, node }: RequestHeader, body: ByteReader, memory: MessageMemory): FuseReply {
    const folder = this.#folder;
    switch (opcode) {
      case P.OPCODE.GETATTR:
        return attributesReply(folder.attributes(node));
      case P.OPCODE.SETATTR:
        return attributesReply(folder.change(node, readChanges(body)));
      case P.OPCODE.READLINK:
        return new ByteWriter().text(folder.readLink(node)).written;
      case P.OPCODE.OPEN:
        return writeOpen(new ByteWriter(16), folder.open(node, openMode(body.u32()))).written;
      case P.OPCODE.OPENDIR:
        return writeOpen(new ByteWriter(16), folder.openFolder(node)).written;
      case P.OPCODE.READ: {
        const [handle, offset, length] = [body.size(), body.size(), body.u32()];
        const most = Math.min(length, P.MOST_DATA_BYTES);
        return new DataReply(
          NOTHING,
          memory.reply(0, most, (into) => folder.read(handle, offset, into)),
        );
      }
      case P.OPCODE.WRITE: {
        const [handle, offset, length] = [body.size(), body.size(), body.u32()];
        const pieces = memory.sent(P.WRITE_FIELD_BYTES, length);
        if (byteCount(pieces) < length) throw new FolderError("EINVAL");
        const written = folder.write(handle, offset, pieces);
        return new ByteWriter(8).u32(written).u32(0).written;
      }
      case P.OPCODE.READDIR:
      case P.OPCODE.READDIRPLUS: {
        const [handle, from, most] = [body.size(), body.size(), body.u32()];
        const listing = { folder: node, handle, from, most: Math.min(most, P.MOST_DATA_BYTES) };
        return opcode === P.OPCODE.READDIR ? listNames(folder, listing) : listEntries(folder, listing);
      }
      case P.OPCODE.FSYNC:
      case P.OPCODE.FSYNCDIR: {
        const handle = body.size();
        const dataOnly = (body.u32() & P.FSYNC_DATA_ONLY) !== 0;
        return folder.flush(handle, dataOnly).then(() => NOTHING);
      }
      case P.OPCODE.RELEASE:
      case P.OPCODE.RELEASEDIR:
        folder.close(body.size());
        return NOTHING;
      default:
        return undefined;
    }
  }

  #aboutTheRest(header: RequestHeader, body: ByteReader): FuseReply {
    const { opcode, node } = header;
    switch (opcode) {
      case P.OPCODE.FORGET:
        this.#folder.forget(node, body.size());
        return undefined;
      case P.OPCODE.BATCH_FORGET:
        this.#forgetMany(body);
        return undefined;
      case P.OPCODE.INTERRUPT:
        return undefined; // nothing waits so long
      case P.OPCODE.STATFS:
        return spaceReply(this.#folder.space());
      case P.OPCODE.DESTROY:
        this.reset();
        return NOTHING;
      default:
        return this.#aboutExtended(header, body);
    }
  }

  #forgetMany(body: ByteReader): void {
    const count = body.u32();
    body.skip(4);
    for (let left = Math.min(count, body.left / 16); left >= 1; left--) {
      const node = body.size();
      const references = body.size();
      try {
        this.#folder.forget(node, references);
      } catch {
        // One that is not known leaves the others to be forgotten.
      }
    }
  }

  #aboutExtended({ opcode, node }: RequestHeader, body: ByteReader): Uint8Array {
    const { extended } = this.#folder;
    if (extended === undefined) throw new FolderError("ENOSYS");
    switch (opcode) {
      case P.OPCODE.GETXATTR: {
        const most = body.u32();
        body.skip(4);
        return sizedReply(extended.get(node, body.terminatedText()), most);
      }
      case P.OPCODE.LISTXATTR: {
        const to = new ByteWriter();
        for (const name of extended.list(node)) to.text(name).u8(0);
        return sizedReply(to.written, body.u32());
      }
      case P.OPCODE.SETXATTR: {
        const [length, flags] = [body.u32(), body.u32()];
        const name = body.terminatedText();
        const how =
          (flags & P.XATTR_CREATE) !== 0 ? "create" : (flags & P.XATTR_REPLACE) !== 0 ? "replace" : "either";
        extended.set(node, name, body.bytes(length), how);
        return NOTHING;
      }
      case P.OPCODE.REMOVEXATTR:
        extended.remove(node, body.terminatedText());
        return NOTHING;
      default:
        throw new FolderError("ENOSYS");
    }
  }
}

/** Of an extended attribute: its length when the driver asks for that (0), and else the bytes. */
function sizedReply(bytes: Uint8Array, most: number): Uint8Array {
  if (most === 0) return new ByteWriter(8).u32(bytes.length).u32(0).written;
  if (bytes.length > most) throw new FolderError("ERANGE");
  return bytes;
}
