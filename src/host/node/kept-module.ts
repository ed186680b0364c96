import type { CompiledPlaces, CompiledRegions } from "../../cpu/region-translator.ts";
import type { ModuleCode } from "./module-code.ts";

/** Tells a region from all others. */
export interface RegionIdentity {
  /** In the cache. */
  readonly key: number;
  /**
   * The first half of the SHA-256 of its bytes, in hexadecimal digits: guests make regions of whatever code they like, and none may have the
   * machine code of another's.
   */
  readonly digest: string;
}

/** A region in a module, and the places that it was compiled for. */
export interface PlacedRegion extends RegionIdentity, CompiledPlaces {
  readonly slotBytes: number;
  readonly cellBytes: number;
}

/** The bytes of a module, and V8's code for it. */
export interface StoredModule {
  readonly wire: Uint8Array;
  readonly code: Uint8Array | undefined;
}

/** What a module is kept by. */
export interface ModuleKeeper {
  /** Absent: modules are kept for this run only. */
  readonly code: ModuleCode | undefined;
  /** Whether so many bytes more may be held in memory. */
  hold(bytes: number): boolean;
  /** The module cannot be had any more. */
  forget(module: KeptModule): void;
}

/** A module of regions: in memory, in a file, or both. */
export class KeptModule implements CompiledRegions {
  /** In the order of the module's functions. */
  readonly regions: readonly PlacedRegion[];
  /** Where its regions' places are: from and to. */
  readonly from: CompiledPlaces;
  readonly to: CompiledPlaces;
  readonly #keeper: ModuleKeeper;
  readonly #stored: () => StoredModule | undefined;
  /** V8's code that is stored. */
  readonly #storedBytes: number;
  #module: WebAssembly.Module | undefined;
  /** Code of a module that has been let go of. */
  #held: Uint8Array | undefined;
  #wasUsed: boolean;

  /** @param module Of this run; absent for one that is stored. */
  constructor(
    keeper: ModuleKeeper,
    regions: readonly PlacedRegion[],
    stored: { bytes: number; read(): StoredModule | undefined },
    module?: WebAssembly.Module,
  ) {
    this.#keeper = keeper;
    this.regions = regions;
    this.from = {
      slots: Math.min(...regions.map(({ slots }) => slots)),
      cells: Math.min(...regions.map(({ cells }) => cells)),
    };
    this.to = {
      slots: Math.max(...regions.map(({ slots, slotBytes }) => slots + slotBytes)),
      cells: Math.max(...regions.map(({ cells, cellBytes }) => cells + cellBytes)),
    };
    this.#storedBytes = stored.bytes;
    this.#stored = stored.read;
    this.#module = module;
    this.#wasUsed = module !== undefined;
  }

  /** Whether another has places between its. */
  isBeside({ from, to }: KeptModule): boolean {
    return (
      (from.slots < this.to.slots && this.from.slots < to.slots) ||
      (from.cells < this.to.cells && this.from.cells < to.cells)
    );
  }

  /** Whether this run has used it. */
  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  load(): WebAssembly.Module | undefined {
    if (this.#module !== undefined) return this.#module;
    const stored = this.#stored();
    const code = this.#held ?? stored?.code;
    if (stored === undefined || code === undefined) {
      this.#keeper.forget(this);
      return undefined;
    }
    this.#module = this.#keeper.code?.deserialize(stored.wire, code);
    this.#wasUsed ||= this.#module !== undefined;
    if (this.#module === undefined) this.#keeper.forget(this);
    return this.#module;
  }

  release(): void {
    const code = this.#newCode();
    const more = code === undefined ? 0 : code.length - (this.#held?.length ?? 0);
    if (code !== undefined && this.#keeper.hold(more)) this.#held = code;
    this.#module = undefined;
    if (this.#held === undefined && this.#storedBytes === 0) this.#keeper.forget(this);
  }

  /** Bytes of V8's code that are not stored. */
  get newBytes(): number {
    return Math.max(0, (this.#newCode()?.length ?? 0) - this.#storedBytes);
  }

  /** Its bytes and all code that there is; undefined where there is none. */
  toStore(): (StoredModule & { readonly code: Uint8Array }) | undefined {
    const stored = this.#stored();
    const code = this.#newCode() ?? stored?.code;
    return stored === undefined || code === undefined ? undefined : { wire: stored.wire, code };
  }

  /** Code that is more than what is stored. */
  #newCode(): Uint8Array | undefined {
    const code = this.#module === undefined ? undefined : this.#keeper.code?.serialize(this.#module);
    return code !== undefined && code.length > this.#storedBytes ? code : this.#held;
  }
}
