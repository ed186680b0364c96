import type { GuestControl } from "../control/guest-control.ts";
import { AgentLink } from "../control/qemu-guest-agent/agent-link.ts";
import { QemuGuestAgent } from "../control/qemu-guest-agent/qemu-guest-agent.ts";
import { ShellAgent } from "../control/shell-agent/shell-agent.ts";
import { VmError } from "../layout/vm-error.ts";
import type { MachineConnection, MadeMachine } from "./machine-connection.ts";
import type { MachineRequest } from "./thread-protocol.ts";

/** A system takes its time until its agent runs. */
const OPEN_MS = 300_000;

/** The agent in the guest of a machine in a thread. */
export class AgentConnection {
  readonly control: GuestControl;
  readonly receive: (bytes: Uint8Array) => void;
  readonly guestOpened: (open: boolean) => void;

  constructor(connection: MachineConnection, { agent, agentIsOpen }: MadeMachine, request: MachineRequest) {
    const send = (bytes: Uint8Array) => {
      if (agent !== "none") connection.sendSerial("agent", bytes);
    };
    if (agent === "qemu") {
      const link = new AgentLink(send, OPEN_MS);
      this.control = new QemuGuestAgent(link);
      this.receive = (bytes) => link.receive(bytes);
      this.guestOpened = (open) => link.guestOpened(open);
      if (agentIsOpen) link.guestOpened(true);
      return;
    }
    const shell = new ShellAgent(send, request.kind === "boot");
    this.control = shell;
    this.receive = (bytes) => shell.receive(bytes);
    this.guestOpened = () => {};
    if (agent === "none") shell.close(new VmError({ code: "agent-unavailable", reason: whyNone(request) }));
  }
}

function whyNone(request: MachineRequest): string {
  return request.kind === "restore"
    ? "the saved machine had no port for an agent"
    : "a kernel of one's own needs the option guestAgent, and the QEMU guest agent in its system";
}
