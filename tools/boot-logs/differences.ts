import type { KernelMessage } from "./kernel-log.ts";

/** A reason why a boot under QEMU and one here say different things. */
export interface DifferenceClass {
  readonly title: string;
  readonly explanation: string;
  /** Messages that QEMU's boot alone may have; matched against the text with its figures. */
  readonly qemu?: readonly RegExp[];
  readonly here?: readonly RegExp[];
}

export const DIFFERENCES: readonly DifferenceClass[] = [];

/** The first class that explains why `side` alone has the message. */
export function classOf({ text }: KernelMessage, side: "qemu" | "here"): DifferenceClass | undefined {
  return DIFFERENCES.find((candidate) => candidate[side]?.some((pattern) => pattern.test(text)));
}
