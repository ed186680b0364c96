/** From the start of a loop to its end. */
export interface LoopRange {
  readonly start: number;
  readonly end: number;
}

/** The first and the last place in the code at which each local occurs, by its index; -1 where it does not. */
export interface LocalRanges {
  readonly first: Int32Array;
  readonly last: Int32Array;
}

/**
 * Lets locals share a slot whose ranges do not meet: every branch and block costs V8's compilers time in proportion to the
 * number of locals. `classOf` gives the type of a local that may share, or a negative number. Each of these must be set
 * before it is read, in the order of the code and in each turn of a loop. Returns the slot of each local: the index of one of them.
 */
export function shareLocals(
  ranges: LocalRanges,
  loops: readonly LoopRange[],
  classOf: (local: number) => number,
): Int32Array {
  const { first, last } = ranges;
  const slots = Int32Array.from(first, (_, local) => local);
  const order: number[] = [];
  for (let local = 0; local < first.length; local++)
    if ((first[local] as number) >= 0 && classOf(local) >= 0) order.push(local);
  order.sort((x, y) => (first[x] as number) - (first[y] as number));
  const ends = order.map((local) => endOf(first[local] as number, last[local] as number, loops));
  /** Slots in use and since when they will be free, the earliest last. */
  const busy: { readonly slot: number; readonly end: number }[] = [];
  const free = new Map<number, number[]>();
  for (const [i, local] of order.entries()) {
    const start = first[local] as number;
    while (busy.length > 0 && (busy.at(-1) as { end: number }).end < start) {
      const { slot } = busy.pop() as { slot: number };
      const kind = classOf(slot);
      const list = free.get(kind);
      if (list === undefined) free.set(kind, [slot]);
      else list.push(slot);
    }
    const slot = free.get(classOf(local))?.pop() ?? local;
    slots[local] = slot;
    const end = ends[i] as number;
    let at = busy.length;
    busy.push({ slot, end });
    while (at > 0 && (busy[at - 1] as { end: number }).end < end) {
      busy[at] = busy[at - 1] as { slot: number; end: number };
      at--;
    }
    busy[at] = { slot, end };
  }
  return slots;
}

/** A local that is set before a loop and read in it is in use until the loop's end. */
function endOf(first: number, last: number, loops: readonly LoopRange[]): number {
  let end = last;
  for (const loop of loops) if (loop.start > first && loop.start <= last && loop.end > end) end = loop.end;
  return end;
}
