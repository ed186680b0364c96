import type { GuestControl } from "../../control/guest-control.ts";
import { AGENT_PORT_NAME, AgentLink } from "../../control/qemu-guest-agent/agent-link.ts";
import { QemuGuestAgent } from "../../control/qemu-guest-agent/qemu-guest-agent.ts";
import { SHELL_AGENT_PORT_NAME, ShellAgent } from "../../control/shell-agent/shell-agent.ts";
import type { VmError } from "../../layout/vm-error.ts";
import { HostPort } from "../../virtio/console/host-port.ts";
import type { RunOptions } from "../command-line.ts";

/** How long a request waits for the guest to open the QEMU agent's port. */
const OPEN_MS = 30_000;

/** What a machine is built with, so that there is an agent to talk to. */
export interface AgentParts {
  readonly ports?: readonly HostPort[];
}

type AgentOptions = Pick<RunOptions, "kernelPath" | "deterministic">;

/**
 * The agents that the guest of a run may have. A virtio console has a port for each; which one the guest opens tells
 * what it has. A restored machine has what it was saved with: that console, a second serial port, or neither.
 */
export class SessionAgents {
  readonly parts: AgentParts;
  readonly #isDefaultGuest: boolean;
  readonly #sendSerial: (bytes: Uint8Array) => void;
  #qemu: QemuGuestAgent | undefined;
  /** Over whichever way the machine has. */
  #shell: ShellAgent | undefined;

  /**
   * @param restored The names of the devices of the snapshot that the machine goes on with.
   * @param sendSerial Hands bytes to the second serial port, once the machine runs.
   */
  constructor(
    { kernelPath, deterministic }: AgentOptions,
    restored: readonly string[] | undefined,
    sendSerial: (bytes: Uint8Array) => void,
  ) {
    this.#isDefaultGuest = kernelPath === undefined;
    this.#sendSerial = sendSerial;
    // What comes from outside is no function of the instructions executed.
    const hasConsole = restored?.includes("virtio-console") ?? !deterministic;
    this.parts = hasConsole ? { ports: this.#openPorts(restored === undefined) } : {};
  }

  /** The agent that the guest has, or the one that it most likely will have. */
  get control(): GuestControl | undefined {
    if (this.#qemu?.isReady) return this.#qemu;
    return this.#isDefaultGuest || this.#shell?.isReady ? this.#shell : this.#qemu;
  }

  /** The machine has been built. A restored one may have an agent that greeted somebody else. */
  started(hasSecondSerial: boolean): void {
    if (hasSecondSerial) this.#shell ??= new ShellAgent(this.#sendSerial, false);
  }

  /** The guest has written to its second serial port. */
  receiveSerial(bytes: Uint8Array): void {
    this.#shell?.receive(bytes);
  }

  close(reason: VmError): void {
    this.#qemu?.close(reason);
    this.#shell?.close(reason);
  }

  #openPorts(boots: boolean): HostPort[] {
    const shellPort = new HostPort(SHELL_AGENT_PORT_NAME, { receive: (bytes) => shell.receive(bytes) });
    const shell = new ShellAgent((bytes) => void shellPort.write(bytes), boots);
    const qemuPort = new HostPort(AGENT_PORT_NAME, {
      receive: (bytes) => link.receive(bytes),
      guestOpened: (open) => link.guestOpened(open),
    });
    const link = new AgentLink((bytes) => void qemuPort.write(bytes), OPEN_MS);
    this.#shell = shell;
    this.#qemu = new QemuGuestAgent(link);
    shellPort.open();
    qemuPort.open();
    return [shellPort, qemuPort];
  }
}
