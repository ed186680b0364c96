import process from "node:process";
import { VmError } from "../../../layout/vm-error.ts";
import { CopyCount } from "../../copy-count.ts";
import { FolderError } from "../../linux-errors.ts";
import { decodedName, printableName } from "../../printable-name.ts";
import {
  type ByteString,
  type HandleId,
  type NodeId,
  ROOT,
  type SharedFolder,
  TYPE_FILE,
  TYPE_FOLDER,
  TYPE_LINK,
  TYPE_MASK,
} from "../../shared-folder.ts";
import { type ParsedMember, TarParser } from "../../tar/tar-parser.ts";
import { systemErrorText } from "../files.ts";
import { byteString } from "../shared-folder/names.ts";

/** Set-user-ID and set-group-ID would now mean another user. */
const KEPT_PERMISSIONS = 0o1777;
/** What other users may do with a folder or a file comes when it is complete. */
const UNFINISHED_FOLDER = 0o700;
const UNFINISHED_FILE = 0o600;
/** Seconds since 1970; the year 2242. */
const LATEST = 0o77777777777;

/** A folder on the way down to the member that is under way. */
interface Level {
  readonly name: ByteString;
  readonly node: NodeId;
  /** What a folder that this copy has made is to get when it is complete. */
  readonly made: { readonly permissions: number; readonly modified: number } | undefined;
}

interface UnfinishedFile {
  readonly member: ParsedMember;
  readonly folder: NodeId;
  /** Its name until it is complete. */
  readonly part: ByteString;
  readonly name: ByteString;
  readonly node: NodeId;
  readonly handle: HandleId;
  writtenBytes: number;
}

/**
 * Makes a folder of this host from a tar archive that a guest sends. The guest is not trusted: nothing is reached but through
 * a `SharedFolder`, which takes one name at a time, follows no links, and stays inside of itself.
 *
 * What is made gets a name of its own first and is then put in its place, so that an old file or link is there until then,
 * and is never written through. What is kept does not grow with the number of members.
 */
export class FolderUnpacker {
  readonly count = new CopyCount();
  readonly #folder: SharedFolder;
  /** What the archive's own root is called in the folder; undefined: it is the folder itself. */
  readonly #name: ByteString | undefined;
  readonly #hostPath: string;
  readonly #guestPath: string;
  readonly #parser: TarParser;
  readonly #by = { owner: process.geteuid?.() ?? 0, group: process.getegid?.() ?? 0 };
  readonly #levels: Level[] = [];
  #file: UnfinishedFile | undefined;
  #nextPart = 1;

  /** The paths are for messages. */
  constructor(
    folder: SharedFolder,
    { name, hostPath, guestPath }: { name: ByteString | undefined; hostPath: string; guestPath: string },
  ) {
    this.#folder = folder;
    this.#name = name;
    this.#hostPath = hostPath;
    this.#guestPath = guestPath;
    this.#parser = new TarParser({
      begin: (member) => this.#begin(member),
      data: (bytes) => this.#data(bytes),
      end: () => this.#end(),
      fail: (reason) => this.#refuse(reason),
    });
  }

  /**
   * Takes the next bytes of the archive.
   * @throws {VmError} `guest-file-failed` for what the guest must not send, `file-unwritable`.
   */
  write(bytes: Uint8Array): void {
    this.#parser.write(bytes);
  }

  /** The archive is complete. @throws {VmError} `guest-file-failed` when it is not. */
  end(): void {
    this.#parser.end();
    this.#leaveFolders(0);
  }

  /** No more comes: removes a file that is not complete. The others stay. */
  abandon(): void {
    try {
      const file = this.#file;
      this.#file = undefined;
      if (file !== undefined) {
        this.#folder.close(file.handle);
        this.#folder.removeFile(file.folder, file.part);
      }
      this.#leaveFolders(0);
    } catch {
      // Somebody else has taken it away.
    }
  }

  #begin(member: ParsedMember): void {
    const steps = this.#steps(member.path);
    if (member.kind === "directory") return this.#enter(steps, member);
    const name = steps.pop();
    if (name === undefined) return this.#refuse(`its tar sends a ${member.kind} in place of the folder`);
    const folder = this.#reach(steps, member);
    this.#onHost(member, () => {
      if (member.kind === "file") this.#file = this.#beginFile(member, folder, name);
      else if (member.kind === "symlink") this.#makeLink(member, folder, name);
      else if (member.kind === "link") this.#linkFile(member, folder, name);
      else this.count.leaveOut(decodedName(byteString(member.path)).replace(/^\.\//, ""));
    });
  }

  #data(bytes: Uint8Array): void {
    const file = this.#file;
    this.count.bytes += bytes.length;
    if (file === undefined) return;
    this.#onHost(file.member, () => {
      for (let done = 0; done < bytes.length; ) {
        const count = this.#folder.write(file.handle, file.writtenBytes, [bytes.subarray(done)]);
        file.writtenBytes += count;
        done += count;
      }
    });
  }

  #end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#onHost(file.member, () => {
      this.#folder.change(file.node, attributesOf(file.member));
      this.#folder.rename(file.folder, file.part, file.folder, file.name, false);
      this.#file = undefined;
      this.#folder.close(file.handle);
      this.#folder.forget(file.node, 1);
    });
    this.count.files++;
  }

  #beginFile(member: ParsedMember, folder: NodeId, name: ByteString): UnfinishedFile {
    const part = this.#newName();
    const { node, handle } = this.#folder.create(folder, part, {
      ...{ read: false, write: true, truncate: false, synchronous: false },
      ...{ permissions: UNFINISHED_FILE, exclusive: true, by: this.#by },
    });
    return { member, folder, part, name, node, handle, writtenBytes: 0 };
  }

  #makeLink(member: ParsedMember, folder: NodeId, name: ByteString): void {
    const part = this.#newName();
    const { node } = this.#folder.makeLink(folder, part, byteString(member.target), this.#by);
    this.#inPlace(folder, part, name, () => {
      this.#folder.change(node, { modifiedNs: nanoseconds(member.modified) });
    });
    this.#folder.forget(node, 1);
    this.count.files++;
  }

  /** Another name for a file of the archive that has come before. */
  #linkFile(member: ParsedMember, folder: NodeId, name: ByteString): void {
    const node = this.#find(this.#steps(member.target), member);
    try {
      const old = this.#folder.lookup(folder, name);
      if (old !== undefined) this.#folder.forget(old.node, 1);
      // To rename one of two names of a file to the other would leave both.
      if (old?.node === node) return;
      const part = this.#newName();
      const made = this.#folder.link(node, folder, part);
      this.#inPlace(folder, part, name, () => {});
      this.#folder.forget(made.node, 1);
      this.count.files++;
    } finally {
      this.#folder.forget(node, 1);
    }
  }

  /** Finishes what was made, and gives it its name. */
  #inPlace(folder: NodeId, part: ByteString, name: ByteString, finish: () => void): void {
    try {
      finish();
      this.#folder.rename(folder, part, folder, name, false);
    } catch (error) {
      this.#folder.removeFile(folder, part);
      throw error;
    }
  }

  /** A name that the guest cannot know, and so cannot have taken. */
  #newName(): ByteString {
    return `.ringfence-${Math.floor(Math.random() * 2 ** 52).toString(36)}-${this.#nextPart++}.part`;
  }

  /** Makes the folder unless it is there. One that is there keeps its attributes. */
  #enter(steps: readonly ByteString[], member: ParsedMember): void {
    const name = steps.at(-1);
    if (name === undefined) return;
    const folder = this.#reach(steps.slice(0, -1), member);
    this.#onHost(member, () => {
      const there = this.#folder.lookup(folder, name);
      if (there === undefined) {
        const { node } = this.#folder.makeFolder(folder, name, UNFINISHED_FOLDER, this.#by);
        this.#levels.push({ name, node, made: member });
      } else this.#push(name, there, member);
    });
  }

  /** The node of a folder that is there already, without a link on the way. */
  #reach(steps: readonly ByteString[], member: ParsedMember): NodeId {
    let same = 0;
    while (same < this.#levels.length && this.#levels[same]!.name === steps[same]) same++;
    this.#leaveFolders(same);
    for (const name of steps.slice(same)) {
      const there = this.#onHost(member, () => this.#folder.lookup(this.#levels.at(-1)?.node ?? ROOT, name));
      if (there === undefined)
        return this.#refuse(`its tar sends ${printableName(byteString(member.path))} before its folder`);
      this.#push(name, there, member);
    }
    return this.#levels.at(-1)?.node ?? ROOT;
  }

  #push(
    name: ByteString,
    { node, attributes }: { node: NodeId; attributes: { mode: number } },
    member: ParsedMember,
  ) {
    const type = attributes.mode & TYPE_MASK;
    if (type === TYPE_FOLDER) {
      this.#levels.push({ name, node, made: undefined });
      return;
    }
    this.#folder.forget(node, 1);
    const what = type === TYPE_LINK ? "a symbolic link, which is not followed" : "a file";
    this.#unwritable(member, `${printableName(name)} on its way is ${what}`);
  }

  /** A regular file of the archive that has come before, with a reference to it. */
  #find(steps: readonly ByteString[], member: ParsedMember): NodeId {
    const way = [ROOT];
    try {
      for (const [index, name] of steps.entries()) {
        const there = this.#folder.lookup(way.at(-1)!, name);
        if (there !== undefined) way.push(there.node);
        const wanted = index === steps.length - 1 ? TYPE_FILE : TYPE_FOLDER;
        if (there === undefined || (there.attributes.mode & TYPE_MASK) !== wanted) break;
        if (wanted === TYPE_FILE) return way.pop()!;
      }
    } finally {
      for (const node of way.slice(1)) this.#folder.forget(node, 1);
    }
    const name = printableName(byteString(member.target));
    return this.#refuse(`its tar sends a link to ${name}, which is no file that it has sent`);
  }

  /** Goes up until `levels` are left. Folders that are complete get what they have in the guest. */
  #leaveFolders(levels: number): void {
    while (this.#levels.length > levels) {
      const { name, node, made } = this.#levels.pop()!;
      if (made !== undefined)
        this.#onHost({ path: Buffer.from(name, "latin1") }, () =>
          this.#folder.change(node, attributesOf(made)),
        );
      this.#folder.forget(node, 1);
    }
  }

  /** A member's path from the shared folder's root, name by name. */
  #steps(path: Uint8Array): ByteString[] {
    const text = byteString(path);
    const names = text.split("/").filter((name) => name !== "" && name !== ".");
    if (text.startsWith("/") || names.includes("..") || text.includes("\0"))
      this.#refuse(`its tar sends a name that leads out of the folder: ${printableName(text)}`);
    return this.#name === undefined ? names : [this.#name, ...names];
  }

  #onHost<T>(member: { readonly path: Uint8Array }, action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (error instanceof VmError) throw error;
      return this.#unwritable(member, errorText(error), error);
    }
  }

  #unwritable(member: { readonly path: Uint8Array }, reason: string, cause?: unknown): never {
    const inside = printableName(byteString(member.path).replace(/^(\.\/)+|\/+$/g, ""));
    const path = ["", "."].includes(inside) ? this.#hostPath : `${this.#hostPath}/${inside}`;
    throw new VmError({ code: "file-unwritable", path, reason }, { cause });
  }

  #refuse(reason: string): never {
    throw new VmError({ code: "guest-file-failed", path: this.#guestPath, reason });
  }
}

function attributesOf({ permissions, modified }: { permissions: number; modified: number }) {
  return { mode: permissions & KEPT_PERMISSIONS, modifiedNs: nanoseconds(modified) };
}

function nanoseconds(seconds: number): bigint {
  return BigInt(Math.round(Math.min(seconds, LATEST) * 1e6)) * 1000n;
}

function errorText(error: unknown): string {
  if (error instanceof FolderError)
    return (
      { EINVAL: "not a name for a file", ENAMETOOLONG: "the name is too long" }[error.message] ??
      error.message
    );
  return systemErrorText(error);
}
