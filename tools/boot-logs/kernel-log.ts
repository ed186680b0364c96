/** One message of a kernel's log, as `dmesg -r` prints it. */
export interface KernelMessage {
  /** 0 emergency ... 3 error, 4 warning, 5 notice, 6 information, 7 debug. */
  readonly level: number;
  readonly text: string;
  /** The text without what differs from one boot to the next: see `withoutFigures`. */
  readonly kind: string;
}

/** Messages of this level and below are warnings or worse. */
export const WARNING = 4;

/** Finds the raw messages in what came over a serial line. A message's lines after its first have no prefix of their own. */
export function kernelMessages(serial: string): KernelMessage[] {
  const messages: KernelMessage[] = [];
  for (const line of serial.split(/\r*\n/)) {
    const match = /<(\d+)>\[ *\d+\.\d+\] (.*)$/.exec(line);
    if (match === null) continue;
    const [, priority = "6", text = ""] = match;
    messages.push({ level: Number(priority) & 7, text, kind: withoutFigures(text) });
  }
  return messages;
}

/** Replaces every number by #, so that messages which differ in addresses, sizes and times only are equal. */
export function withoutFigures(text: string): string {
  return text
    .replace(/0x[0-9a-f]+/gi, "#")
    .replace(/\b[0-9a-f]{8,}\b/gi, "#")
    .replace(/\d+/g, "#")
    .replace(/#([.:,]#)+/g, "#")
    .replace(/([ (])-#/g, "$1#")
    .replace(/ +/g, " ")
    .trim();
}

/** What two boots of one kernel say differently. */
export interface LogDifference {
  readonly onlyFirst: readonly KernelMessage[];
  readonly onlySecond: readonly KernelMessage[];
  /** Messages that both have, but with other figures. */
  readonly otherFigures: readonly (readonly [first: KernelMessage, second: KernelMessage])[];
  readonly equal: number;
}

/** Pairs the messages of two logs by their kind. Their order does not count: drivers start in parallel. */
export function compareLogs(
  first: readonly KernelMessage[],
  second: readonly KernelMessage[],
): LogDifference {
  const waiting = new Map<string, KernelMessage[]>();
  for (const message of second) waiting.set(message.kind, [...(waiting.get(message.kind) ?? []), message]);
  const onlyFirst: KernelMessage[] = [];
  const otherFigures: [KernelMessage, KernelMessage][] = [];
  let equal = 0;
  for (const message of first) {
    const candidates = waiting.get(message.kind) ?? [];
    const same = candidates.findIndex(({ text }) => text === message.text);
    const [partner] = candidates.splice(Math.max(0, same), 1);
    if (partner === undefined) onlyFirst.push(message);
    else if (partner.text === message.text) equal++;
    else otherFigures.push([message, partner]);
  }
  return { onlyFirst, onlySecond: [...waiting.values()].flat(), otherFigures, equal };
}
