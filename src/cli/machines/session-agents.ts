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
  readonly secondSerial?: true;
  readonly ports?: readonly HostPort[];
}

type AgentOptions = Pick<RunOptions, "kernelPath" | "restorePath" | "snapshotPath" | "deterministic">;

/**
 * The agents that the guest of a run may have. A virtio console has a port for each; which one the guest opens tells
 * what it has. A machine that is to be saved has none, since a snapshot holds no virtio devices yet: its default guest
 * uses the second serial port.
 */
export class SessionAgents {
  readonly parts: AgentParts;
  readonly #isDefaultGuest: boolean;
  readonly #sendSerial: (bytes: Uint8Array) => void;
  #qemu: QemuGuestAgent | undefined;
  /** Over whichever way the machine has. */
  #shell: ShellAgent | undefined;

  /** @param sendSerial Hands bytes to the second serial port, once the machine runs. */
  constructor(options: AgentOptions, sendSerial: (bytes: Uint8Array) => void) {
    const { kernelPath, restorePath, snapshotPath, deterministic } = options;
    this.#isDefaultGuest = kernelPath === undefined;
    this.#sendSerial = sendSerial;
    // What comes from outside is no function of the instructions executed.
    const isAlone = restorePath !== undefined || deterministic;
    if (!isAlone && snapshotPath === undefined) this.parts = { ports: this.#openPorts() };
    else if (!isAlone && this.#isDefaultGuest) {
      this.#shell = new ShellAgent(sendSerial, true);
      this.parts = { secondSerial: true };
    } else this.parts = {};
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

  #openPorts(): HostPort[] {
    const shellPort = new HostPort(SHELL_AGENT_PORT_NAME, { receive: (bytes) => shell.receive(bytes) });
    const shell = new ShellAgent((bytes) => void shellPort.write(bytes), true);
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
