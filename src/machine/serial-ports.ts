import type { Uart16550 } from "../devices/uart16550/uart16550.ts";
import { FlowControlledPort } from "./flow-controlled-port.ts";
import type { MachineHost } from "./machine-host.ts";
import { SerialConsole } from "./serial-console.ts";

/** What waits on either side of a machine's serial ports: of the first, and of the second where there is one. */
export class SerialPorts {
  readonly first: SerialConsole;
  readonly second: SerialConsole;
  #firstUart: Uart16550 | undefined;
  #secondPort: FlowControlledPort | undefined;

  constructor(host: MachineHost) {
    this.first = new SerialConsole((bytes) => host.writeSerial(bytes));
    this.second = new SerialConsole((bytes) => host.writeSecondSerial?.(bytes));
  }

  /** The chips of a board, in the place of those before. */
  connect({
    uart,
    secondUart,
  }: {
    readonly uart: Uart16550;
    readonly secondUart: Uart16550 | undefined;
  }): void {
    this.#firstUart = uart;
    this.#secondPort = secondUart === undefined ? undefined : new FlowControlledPort(secondUart, this.second);
  }

  /** Gives the host what the guest has written. */
  flush(): void {
    this.first.flush();
    this.second.flush();
  }

  /** Gives the guest what it can take. */
  feed(): void {
    if (this.#firstUart !== undefined) this.first.feed(this.#firstUart);
    this.#secondPort?.takeTurn();
  }

  /** Whether the guest can take something that waits. */
  get canFeed(): boolean {
    const canFeedFirst = this.#firstUart !== undefined && this.first.canFeed(this.#firstUart);
    return canFeedFirst || this.#secondPort?.canTake === true;
  }
}
