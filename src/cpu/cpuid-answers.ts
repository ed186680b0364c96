import { type CpuidContext, type CpuidResult, cpuid } from "./cpuid.ts";

const CR4_OSXSAVE = 1 << 18;
const CR4_PKE = 1 << 22;
/** Subleaves that count for some leaf are below; a guest may leave anything in ECX for the others. */
const KNOWN_SUBLEAVES = 64;
const MOST_KNOWN = 256;

/** Of CPUID's context, what no instruction changes. */
export type CpuidConstants = Omit<CpuidContext, "cr4Osxsave" | "cr4Pke" | "xcr0">;

/** What CPUID answers on one processor, made once: the start of each program of the GNU C library asks more than a hundred times. */
export class CpuidAnswers {
  readonly #constants: CpuidConstants;
  readonly #known = new Map<number, CpuidResult>();
  /** The control registers for which `#known` holds. */
  #cr4 = 0;
  #xcr0 = 0;

  constructor(constants: CpuidConstants) {
    this.#constants = constants;
  }

  /** For EAX and ECX, with the lower halves of CR4 and XCR0. */
  answer(leaf: number, subleaf: number, cr4: number, xcr0: number): Readonly<CpuidResult> {
    const relevant = cr4 & (CR4_OSXSAVE | CR4_PKE);
    if (relevant !== this.#cr4 || xcr0 !== this.#xcr0) {
      this.#known.clear();
      this.#cr4 = relevant;
      this.#xcr0 = xcr0;
    }
    if (subleaf >= KNOWN_SUBLEAVES) return this.#make(leaf, subleaf);
    const key = leaf * KNOWN_SUBLEAVES + subleaf;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= MOST_KNOWN) this.#known.clear();
    const made = this.#make(leaf, subleaf);
    this.#known.set(key, made);
    return made;
  }

  #make(leaf: number, subleaf: number): CpuidResult {
    return cpuid(leaf, subleaf, {
      ...this.#constants,
      cr4Osxsave: (this.#cr4 & CR4_OSXSAVE) !== 0,
      cr4Pke: (this.#cr4 & CR4_PKE) !== 0,
      xcr0: this.#xcr0,
    });
  }
}
