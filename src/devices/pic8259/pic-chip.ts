// One 8259A: the request, in-service and mask registers and the command words.
// Pic8259 joins two of them.
//
// Source: Intel 8259A datasheet (231468), "Programming the 8259A".

/** Everything a snapshot must carry of one chip. Bit n of a register belongs to input IRn. */
export interface PicChipState {
  /** Interrupt request register */
  IRR: number;
  /** In-service register */
  ISR: number;
  /** Interrupt mask register */
  IMR: number;
  /** Levels of the inputs */
  levels: number;
  /** Inputs that are level-triggered */
  levelTriggered: number;
  /** ICW2: vector of IR0 */
  vectorBase: number;
  /** The initialisation word that the next write to the odd port is; 0 outside of initialisation */
  nextICW: 0 | 2 | 3 | 4;
  /** ICW1 announced ICW4 */
  needICW4: boolean;
  /** ICW1: no cascade, so no ICW3 */
  single: boolean;
  autoEndOfInterrupt: boolean;
  rotateOnAutoEnd: boolean;
  specialFullyNested: boolean;
  specialMask: boolean;
  /** OCW3: the even port reads ISR, not IRR */
  readISR: boolean;
  /** OCW3: the next read is a poll */
  poll: boolean;
  /** Input of lowest priority */
  lowest: number;
}

export const resetChipState = (vectorBase: number): PicChipState => ({
  IRR: 0,
  ISR: 0,
  IMR: 0,
  levels: 0,
  levelTriggered: 0,
  vectorBase,
  nextICW: 0,
  needICW4: false,
  single: false,
  autoEndOfInterrupt: false,
  rotateOnAutoEnd: false,
  specialFullyNested: false,
  specialMask: false,
  readISR: false,
  poll: false,
  lowest: 7,
});

const ICW1_MARK = 1 << 4;
const ICW1_IC4 = 1 << 0;
const ICW1_SNGL = 1 << 1;
const ICW4_AEOI = 1 << 1;
const ICW4_SFNM = 1 << 4;
const OCW3_MARK = 1 << 3;
const OCW3_RIS = 1 << 0;
const OCW3_RR = 1 << 1;
const OCW3_POLL = 1 << 2;
const OCW3_SMM = 1 << 5;
const OCW3_ESMM = 1 << 6;

export class PicChip {
  readonly state: PicChipState;
  /** Inputs wired to another chip's INT: they follow its level, whatever the trigger mode. */
  readonly #cascadeInputs: number;

  constructor(state: PicChipState, cascadeInputs: number) {
    this.state = state;
    this.#cascadeInputs = cascadeInputs;
  }

  /** The INT output. */
  get requesting(): boolean {
    return this.#accepted() >= 0;
  }

  setInput(input: number, asserted: boolean): void {
    const s = this.state;
    const bit = 1 << input;
    const rose = asserted && (s.levels & bit) === 0;
    s.levels = asserted ? s.levels | bit : s.levels & ~bit;
    if (((s.levelTriggered | this.#cascadeInputs) & bit) !== 0) {
      s.IRR = asserted ? s.IRR | bit : s.IRR & ~bit;
    } else if (rose) {
      // Deviation: the 8259A forgets a request whose input falls before the acknowledge ("Edge and
      // Level Triggered Modes"). It stays here, so that devices may signal edges with short pulses.
      s.IRR |= bit;
    }
  }

  setLevelTriggered(inputs: number): void {
    const s = this.state;
    s.levelTriggered = inputs;
    s.IRR = (s.IRR & ~inputs) | (s.levels & inputs);
  }

  /** The first INTA cycle. Returns the input, or -1 when the request has gone. */
  acknowledge(): number {
    const input = this.#accepted();
    if (input < 0) return -1;
    const s = this.state;
    const bit = 1 << input;
    if (((s.levelTriggered | this.#cascadeInputs) & bit) === 0) s.IRR &= ~bit;
    if (!s.autoEndOfInterrupt) s.ISR |= bit;
    else if (s.rotateOnAutoEnd) s.lowest = input;
    return input;
  }

  readEven(): number {
    if (this.state.poll) return this.#readPoll();
    return this.state.readISR ? this.state.ISR : this.state.IRR;
  }

  readOdd(): number {
    if (this.state.poll) return this.#readPoll();
    return this.state.IMR;
  }

  writeEven(value: number): void {
    if ((value & ICW1_MARK) !== 0) this.#writeICW1(value);
    else if ((value & OCW3_MARK) !== 0) this.#writeOCW3(value);
    else this.#writeOCW2(value);
  }

  writeOdd(value: number): void {
    const s = this.state;
    switch (s.nextICW) {
      case 2:
        s.vectorBase = value & 0xf8;
        s.nextICW = !s.single ? 3 : s.needICW4 ? 4 : 0;
        break;
      case 3: // The cascade is wired; what software says of it changes nothing.
        s.nextICW = s.needICW4 ? 4 : 0;
        break;
      case 4:
        s.autoEndOfInterrupt = (value & ICW4_AEOI) !== 0;
        s.specialFullyNested = (value & ICW4_SFNM) !== 0;
        s.nextICW = 0;
        break;
      default:
        s.IMR = value;
        break;
    }
  }

  /** "Initialization Command Words 1 and 2 (ICW1, ICW2)". LTIM is ignored: a PC has ELCR instead. */
  #writeICW1(value: number): void {
    const s = this.state;
    s.IMR = 0;
    s.ISR = 0;
    // The edge sense circuit is reset: edges must come anew, levels still count.
    s.IRR &= s.levelTriggered | this.#cascadeInputs;
    s.lowest = 7;
    s.specialMask = false;
    s.readISR = false;
    s.poll = false;
    s.autoEndOfInterrupt = false;
    s.rotateOnAutoEnd = false;
    s.specialFullyNested = false;
    s.needICW4 = (value & ICW1_IC4) !== 0;
    s.single = (value & ICW1_SNGL) !== 0;
    s.nextICW = 2;
  }

  /** "Operation Control Word 2 (OCW2)": R, SL and EOI choose one of eight commands. */
  #writeOCW2(value: number): void {
    const s = this.state;
    const level = value & 7;
    switch (value >> 5) {
      case 0b001:
        this.#endHighest();
        break;
      case 0b011:
        s.ISR &= ~(1 << level);
        break;
      case 0b101: {
        const ended = this.#endHighest();
        if (ended >= 0) s.lowest = ended;
        break;
      }
      case 0b100:
        s.rotateOnAutoEnd = true;
        break;
      case 0b000:
        s.rotateOnAutoEnd = false;
        break;
      case 0b111:
        s.ISR &= ~(1 << level);
        s.lowest = level;
        break;
      case 0b110:
        s.lowest = level;
        break;
      default:
        break;
    }
  }

  #writeOCW3(value: number): void {
    const s = this.state;
    if ((value & OCW3_ESMM) !== 0) s.specialMask = (value & OCW3_SMM) !== 0;
    if ((value & OCW3_RR) !== 0) s.readISR = (value & OCW3_RIS) !== 0;
    s.poll = (value & OCW3_POLL) !== 0;
  }

  /** "Poll Command": the read acknowledges; bit 7 tells whether there was a request. */
  #readPoll(): number {
    this.state.poll = false;
    const input = this.acknowledge();
    return input < 0 ? 0 : 0x80 | input;
  }

  /** In special mask mode, a non-specific EOI does not see levels that are masked. */
  #endHighest(): number {
    const s = this.state;
    const input = this.#highest(s.specialMask ? s.ISR & ~s.IMR : s.ISR);
    if (input >= 0) s.ISR &= ~(1 << input);
    return input;
  }

  /** The input that an acknowledge now would accept, or -1. */
  #accepted(): number {
    const s = this.state;
    if (s.nextICW !== 0) return -1;
    const request = this.#highest(s.IRR & ~s.IMR);
    if (request < 0) return -1;
    let blocking = s.specialMask ? s.ISR & ~s.IMR : s.ISR;
    if (s.specialFullyNested) blocking &= ~this.#cascadeInputs;
    const inService = this.#highest(blocking);
    return inService < 0 || this.#rank(request) < this.#rank(inService) ? request : -1;
  }

  #highest(inputs: number): number {
    if (inputs === 0) return -1;
    for (let rank = 0; rank < 8; rank++) {
      const input = (this.state.lowest + 1 + rank) & 7;
      if ((inputs & (1 << input)) !== 0) return input;
    }
    return -1;
  }

  /** 0 is the highest priority. */
  #rank(input: number): number {
    return (input - this.state.lowest - 1) & 7;
  }
}
