import type { InterruptFabric, InterruptMessage } from "./interrupt-message.ts";

/** A local APIC as the fabric sees it. */
export interface MessageTarget {
  readonly id: number;
  /** Current processor priority, for lowest-priority arbitration. */
  readonly processorPriority: number;
  isAddressedBy(message: InterruptMessage): boolean;
  accept(message: InterruptMessage): void;
}

/** An I/O APIC as the fabric sees it. */
export interface EndOfInterruptListener {
  endOfInterrupt(vector: number): void;
}

/**
 * The bus between the APICs of one machine. Messages arrive at once and in
 * order. Lowest-priority messages go to the addressed processor with the
 * lowest processor priority, the lowest ID deciding between equals.
 *
 * Source: Intel SDM Vol. 3A, "Advanced Programmable Interrupt Controller",
 * "Interrupt Distribution Mechanisms".
 */
export class ApicFabric implements InterruptFabric {
  readonly #targets: MessageTarget[] = [];
  readonly #listeners: EndOfInterruptListener[] = [];

  addLocalApic(target: MessageTarget): void {
    this.#targets.push(target);
  }

  addIoApic(listener: EndOfInterruptListener): void {
    this.#listeners.push(listener);
  }

  send(message: InterruptMessage): boolean {
    let lowest: MessageTarget | undefined;
    let taken = false;
    for (const target of this.#targets) {
      if (!target.isAddressedBy(message)) continue;
      taken = true;
      if (message.deliveryMode !== "lowest-priority") target.accept(message);
      else if (lowest === undefined || target.processorPriority < lowest.processorPriority) lowest = target;
    }
    lowest?.accept(message);
    return taken;
  }

  sendToOthers(senderId: number, message: InterruptMessage): void {
    for (const target of this.#targets) if (target.id !== senderId) target.accept(message);
  }

  endOfInterrupt(vector: number): void {
    for (const listener of this.#listeners) listener.endOfInterrupt(vector);
  }
}
