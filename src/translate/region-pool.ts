import type { KnownRegion } from "../cpu/region-translator.ts";

/** Modules that are kept though none of their regions is in use: code that is thrown away comes back with the next start of a program. */
const MOST_IDLE = 128;

type Compiled = NonNullable<KnownRegion["compiled"]>;
type Module = Compiled["module"];
type RegionFunction = (caller: number) => number;

interface Loaded {
  readonly exports: WebAssembly.Exports;
  /** Regions of it that are in use, by their number in the module. */
  readonly used: Set<number>;
}

/** A region that is in use. */
export interface PooledRegion {
  readonly run: RegionFunction;
  /** It is not in use any more. */
  release(): void;
}

/** Compiled modules of regions. What a module has of a region can be in one place of the guest's memory at a time, because of its cells. */
export class RegionPool {
  readonly #loaded = new Map<Module, Loaded>();
  readonly #instantiate: (module: Module) => WebAssembly.Exports | undefined;

  /** @param instantiate Undefined where the module cannot be had. */
  constructor(instantiate: (module: Module) => WebAssembly.Exports | undefined) {
    this.#instantiate = instantiate;
  }

  /** Adds a module that has been instantiated. */
  add(module: Module, exports: WebAssembly.Exports): void {
    this.#loaded.set(module, { exports, used: new Set() });
  }

  /** Takes a region into use; undefined where it is already, or cannot be had. */
  take({ module, index }: Compiled): PooledRegion | undefined {
    const loaded = this.#load(module);
    if (loaded === undefined || loaded.used.has(index)) return undefined;
    loaded.used.add(index);
    const release = (): void => {
      loaded.used.delete(index);
      if (loaded.used.size === 0 && this.#loaded.has(module)) this.#idle(module, loaded);
    };
    return { run: loaded.exports[`${index}`] as RegionFunction, release };
  }

  /** Lets go of all modules. */
  clear(): void {
    this.#loaded.clear();
  }

  #load(module: Module): Loaded | undefined {
    const known = this.#loaded.get(module);
    if (known !== undefined) return known;
    const exports = this.#instantiate(module);
    if (exports === undefined) return undefined;
    const loaded = { exports, used: new Set<number>() };
    this.#loaded.set(module, loaded);
    return loaded;
  }

  /** Modules that have been idle longest are in front. */
  #idle(module: Module, loaded: Loaded): void {
    this.#loaded.delete(module);
    this.#loaded.set(module, loaded);
    let idle = 0;
    for (const { used } of this.#loaded.values()) if (used.size === 0) idle++;
    if (idle <= MOST_IDLE) return;
    for (const [old, { used }] of this.#loaded) {
      if (used.size > 0) continue;
      this.#loaded.delete(old);
      old.release();
      return;
    }
  }
}
