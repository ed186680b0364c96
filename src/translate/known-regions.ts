import type { HotPlace, KnownRegion, TranslatorHost, Warmth } from "../cpu/region-translator.ts";
import { INSTRUCTIONS } from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import type { BuiltRegion } from "./built-region.ts";
import {
  type CachedRegion,
  codeAt,
  decodeRegion,
  encodeRegion,
  findAddresses,
  isSameCode,
  regionKey,
} from "./cached-region.ts";
import { keepRecords } from "./kept-records.ts";
import type { ScannedRegion } from "./region-scanner.ts";

/** With a cache: share of the time that may go into building regions of code that is only warm. */
const STUDY_SHARE = 0.05;
/** What is put by of that for later, in ms: a guest that has idled for long is not to be slow then. */
const MOST_STUDY_MS = 200;

/**
 * A guest that has executed so many instructions is likely to go on for as long. A boot of Linux takes 1.4 thousand million, and hardly
 * any of its code is executed again.
 */
const LASTING_INSTRUCTIONS = 2_500_000_000;

/** A region that the cache has for the code at a place. */
export interface FoundRegion {
  readonly kept: KnownRegion;
  readonly cached: CachedRegion;
}

/** What the host's cache knows of the guest's code, if there is one. */
export class KnownRegions {
  readonly #host: Pick<TranslatorHost, "cache" | "pageAt">;
  readonly #memory: Uint8Array;
  readonly #view: DataView;
  /** What is left for code that is only warm, in ms, as of a time. Below zero where what is hot has taken more. */
  #studyMs = 0;
  #studyAtMs: number;
  /** What was asked for last, and is going to be translated. */
  #last: { readonly page: number; readonly mode: number; readonly found: FoundRegion } | undefined;

  constructor(host: TranslatorHost) {
    this.#host = host;
    this.#memory = new Uint8Array(host.memory.buffer);
    this.#view = new DataView(host.memory.buffer);
    this.#studyAtMs = this.#nowMs();
  }

  /** See RegionTranslator.wants. */
  wants(place: HotPlace, mode: number, warmth: Warmth): boolean {
    const found = this.#find(place, mode, warmth === "tepid");
    this.#last = found === undefined ? undefined : { page: place.page, mode, found };
    if (found !== undefined) return true;
    return warmth === "nearly hot" ? this.runLasts : warmth === "warm" && this.#hasTimeToStudy();
  }

  /** Whether this run has lasted for long, and what is compiled in it serves others, too. */
  get runLasts(): boolean {
    if (this.#host.cache?.keepsCode !== true) return false;
    return this.#view.getBigInt64(CPU_STATE + INSTRUCTIONS, true) > LASTING_INSTRUCTIONS;
  }

  /** What the cache has of the code at a place. */
  find(place: HotPlace, mode: number): FoundRegion | undefined {
    const last = this.#last;
    this.#last = undefined;
    const isLast =
      last?.page === place.page && last.mode === mode && last.found.cached.offset === place.offset;
    return isLast ? last.found : this.#find(place, mode, false);
  }

  /** Builds a region, and keeps it if there is a cache. */
  build(
    build: () => BuiltRegion,
    scanned: ScannedRegion,
    dispatched: CachedRegion["dispatched"],
    mode: number,
  ): { readonly built: BuiltRegion; readonly kept: KnownRegion | undefined } {
    const began = this.#nowMs();
    const built = build();
    this.#studyMs -= this.#nowMs() - began;
    const { cache } = this.#host;
    if (cache === undefined) return { built, kept: undefined };
    const { described, instructions, code } = scanned;
    const { entry: offset, pages } = code;
    const spans = described.flatMap(({ start, end }) => [start, end]);
    const pageAt = (wanted: number): number | undefined => pages.find(({ delta }) => delta === wanted)?.page;
    const guestCode = codeAt(this.#memory, spans, pageAt);
    invariant(guestCode !== undefined, "a region lies on its pages");
    const addresses = findAddresses(guestCode, spans, instructions, built.addresses);
    for (const at of addresses.inCode) guestCode.fill(0, at, at + 4);
    const region = {
      offset,
      mode,
      deltas: pages.map(({ delta }) => delta),
      spans,
      addresses: addresses.inCode,
      guestCode,
      dispatched,
      records: keepRecords(this.#memory, scanned, ({ position }) => addresses.positions.has(position)),
      built,
    };
    const kept = cache.add(regionKey(this.#memory, pages[0]!.page, offset, mode), encodeRegion(region));
    return { built, kept };
  }

  #nowMs(): number {
    return this.#host.cache?.nowMs() ?? 0;
  }

  #hasTimeToStudy(): boolean {
    const now = this.#nowMs();
    this.#studyMs = Math.min(MOST_STUDY_MS, this.#studyMs + STUDY_SHARE * (now - this.#studyAtMs));
    this.#studyAtMs = now;
    return this.#studyMs > 0;
  }

  /** @param isCompiled What is not compiled does not count. */
  #find(place: HotPlace, mode: number, isCompiled: boolean): FoundRegion | undefined {
    const { cache } = this.#host;
    if (cache === undefined) return undefined;
    const pageAt = (delta: number): number | undefined =>
      delta === 0 ? place.page : this.#host.pageAt(delta);
    for (const kept of cache.find(regionKey(this.#memory, place.page, place.offset, mode))) {
      if (isCompiled && !kept.mayBeCompiled) continue;
      const bytes = kept.read();
      if (bytes === undefined) continue;
      const cached = decodeRegion(bytes);
      if (cached.offset !== place.offset || cached.mode !== mode) continue;
      if (!cached.deltas.every((delta) => pageAt(delta) !== undefined)) continue;
      const code = codeAt(this.#memory, cached.spans, pageAt);
      if (code === undefined || !isSameCode(cached, code)) continue;
      if (!isCompiled || kept.compiled !== undefined) return { kept, cached };
    }
    return undefined;
  }
}
