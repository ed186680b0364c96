import { createRequire } from "node:module";
import { FolderError, LINUX_ERRORS, type LinuxErrorName } from "../../linux-errors.ts";
import type { ByteString, ExtendedAttributes, NodeId } from "../../shared-folder.ts";
import type { HostPath } from "./names.ts";

/** Attributes that any user may give a file. Others change what the host allows: they are not the guest's to read or write. */
const ALLOWED_PREFIX = "user.";
const MOST_VALUE_BYTES = 65536;

/** What @napi-rs/xattr offers: calls that do not follow a link at the path's end. */
interface SystemCalls {
  getAttributeSync(path: string, name: string): Buffer | null;
  listAttributesSync(path: string): string[];
  removeAttributeSync(path: string, name: string): void;
  setAttributeSync(path: string, name: string, value: Uint8Array): void;
}

/** Calls `use` with a path of the node itself. */
type WithPath = <T>(node: NodeId, use: (path: HostPath) => T) => T;

/**
 * Extended attributes of the host's files, by a package that Node.js needs for them.
 * @throws Where the package is not installed, as on hosts that it is not made for.
 */
export class NodeExtendedAttributes implements ExtendedAttributes {
  readonly #calls: SystemCalls = createRequire(import.meta.url)("@napi-rs/xattr") as SystemCalls;
  readonly #withPath: WithPath;
  readonly #checkWritable: () => void;

  constructor(withPath: WithPath, checkWritable: () => void) {
    this.#withPath = withPath;
    this.#checkWritable = checkWritable;
  }

  get(node: NodeId, name: ByteString): Uint8Array {
    const value = this.#call(node, (path) => this.#calls.getAttributeSync(path, checkedName(name)));
    if (value === null) throw new FolderError("ENODATA");
    return value;
  }

  list(node: NodeId): readonly ByteString[] {
    const names = this.#call(node, (path) => this.#calls.listAttributesSync(path));
    return names
      .filter((name) => name.startsWith(ALLOWED_PREFIX))
      .map((name) => Buffer.from(name).toString("latin1"));
  }

  set(node: NodeId, name: ByteString, value: Uint8Array, how: "create" | "replace" | "either"): void {
    this.#checkWritable();
    const checked = checkedName(name);
    if (value.length > MOST_VALUE_BYTES) throw new FolderError("ENOSPC");
    this.#call(node, (path) => {
      const isThere = how !== "either" && this.#calls.getAttributeSync(path, checked) !== null;
      if (how === "create" && isThere) throw new FolderError("EEXIST");
      if (how === "replace" && !isThere) throw new FolderError("ENODATA");
      this.#calls.setAttributeSync(path, checked, value);
    });
  }

  remove(node: NodeId, name: ByteString): void {
    this.#checkWritable();
    const checked = checkedName(name);
    this.#call(node, (path) => this.#calls.removeAttributeSync(path, checked));
  }

  #call<T>(node: NodeId, call: (path: string) => T): T {
    return this.#withPath(node, (path) => {
      try {
        return call(typeof path === "string" ? path : decoded(path));
      } catch (error) {
        throw error instanceof FolderError ? error : translated(error);
      }
    });
  }
}

function checkedName(name: ByteString): string {
  if (!name.startsWith(ALLOWED_PREFIX)) throw new FolderError("EOPNOTSUPP");
  if (name.length > 255 || name.includes("\0")) throw new FolderError("EINVAL");
  return decoded(Buffer.from(name, "latin1"));
}

/** The package takes text only. */
function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new FolderError("EOPNOTSUPP");
  }
}

/** The package says "... (os error 61)". */
function translated(error: unknown): unknown {
  const number = Number(/\(os error (\d+)\)/.exec(String(error))?.[1]);
  const name = (Object.keys(LINUX_ERRORS) as LinuxErrorName[]).find((key) => LINUX_ERRORS[key] === number);
  return name === undefined || process.platform !== "linux" ? error : new FolderError(name);
}
