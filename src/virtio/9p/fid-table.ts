import { FolderError } from "../../host/linux-errors.ts";
import type { ByteString, HandleId, NodeId, SharedFolder } from "../../host/shared-folder.ts";

const MOST_FIDS = 65536;
/** Fids with the value of an attribute, which may be 64 KiB each. */
const MOST_ATTRIBUTES = 64;

export const MOST_ATTRIBUTE_BYTES = 65536;

/** The value of an extended attribute that is read, or written until the fid is given up. */
export type OpenAttribute =
  | { readonly kind: "read"; readonly value: Uint8Array }
  | {
      readonly kind: "write";
      readonly name: ByteString;
      readonly value: Uint8Array;
      readonly how: "create" | "replace" | "either";
      written: number;
    };

/** What the driver means by a number of its choice. It holds a reference to its node. */
export interface Fid {
  readonly node: NodeId;
  /** The guest's user who attached. */
  readonly user: number;
  handle?: HandleId;
  attribute?: OpenAttribute;
}

/** The fids of a driver. */
export class FidTable {
  readonly #folder: SharedFolder;
  readonly #fids = new Map<number, Fid>();
  #attributes = 0;

  constructor(folder: SharedFolder) {
    this.#folder = folder;
  }

  get(number: number): Fid {
    const fid = this.#fids.get(number);
    if (fid === undefined) throw new FolderError("EBADF");
    return fid;
  }

  /** A fid that is open as a file or folder. */
  handle(number: number): HandleId {
    const { handle } = this.get(number);
    if (handle === undefined) throw new FolderError("EBADF");
    return handle;
  }

  /** To be asked before a fid of this number is made. */
  checkFree(number: number): void {
    if (this.#fids.has(number)) throw new FolderError("EINVAL");
    if (this.#fids.size >= MOST_FIDS) throw new FolderError("ENFILE");
  }

  /** Takes over the caller's reference to the node. */
  add(number: number, fid: Fid): void {
    this.#fids.set(number, fid);
  }

  addAttribute(fid: Fid, attribute: OpenAttribute): void {
    if (this.#attributes >= MOST_ATTRIBUTES) throw new FolderError("ENFILE");
    this.#attributes++;
    fid.attribute = attribute;
  }

  /** Gives the number another meaning, and the caller's reference with it. */
  replace(number: number, fid: Fid): void {
    const old = this.get(number);
    if (old.attribute !== undefined) this.#attributes--;
    this.#fids.set(number, fid);
    this.#folder.forget(old.node, 1);
  }

  /** The number means nothing any more. */
  remove(number: number): Fid {
    const fid = this.get(number);
    this.#fids.delete(number);
    if (fid.attribute !== undefined) this.#attributes--;
    if (fid.handle !== undefined) this.#folder.close(fid.handle);
    return fid;
  }

  /** Plain data; the folder keeps what nodes and handles stand for. */
  get state(): readonly (Fid & { readonly number: number })[] {
    return [...this.#fids].map(([number, fid]) => ({ number, ...fid }));
  }

  /** False: that is no state. */
  restore(state: unknown): boolean {
    if (!Array.isArray(state) || state.length > MOST_FIDS || !state.every(isFid)) return false;
    for (const { number, ...fid } of state) {
      this.#fids.set(number, fid);
      if (fid.attribute !== undefined) this.#attributes++;
    }
    return this.#attributes <= MOST_ATTRIBUTES;
  }

  /** Numbers and handles only: the folder forgets by itself. */
  reset(): void {
    this.#fids.clear();
    this.#attributes = 0;
  }
}

function isFid(fid: Fid & { number: number }): boolean {
  const { number, node, user, handle, attribute } = fid ?? {};
  const isNumber = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  return (
    [number, node, user, handle ?? 0].every(isNumber) && (attribute === undefined || isAttribute(attribute))
  );
}

function isAttribute(attribute: OpenAttribute): boolean {
  if (!(attribute?.value instanceof Uint8Array) || attribute.value.length > MOST_ATTRIBUTE_BYTES)
    return false;
  if (attribute.kind === "read") return true;
  const { kind, name, how, written } = attribute;
  return (
    kind === "write" &&
    typeof name === "string" &&
    ["create", "replace", "either"].includes(how) &&
    Number.isSafeInteger(written)
  );
}
