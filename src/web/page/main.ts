/** The page: a form, a terminal, and between them a machine in a worker. */
import type { MachineEnd } from "../../machine/machine-end.ts";
import { OFFERED_GUEST, type OfferedGuest, type WorkerMessage } from "../protocol.ts";
import { BootForm } from "./boot-form.ts";
import { element } from "./element.ts";
import { MachineClient } from "./machine-client.ts";
import { missingRequirements } from "./requirements.ts";
import { SerialTerminal } from "./serial-terminal.ts";

const form = new BootForm(new URLSearchParams(location.search));
const stop = element("stop", HTMLButtonElement);
const terminalElement = element("terminal", HTMLDivElement);
const statistics = element("statistics", HTMLDetailsElement);
let terminal: SerialTerminal | undefined;
let machine: MachineClient | undefined;

function main(): void {
  const missing = missingRequirements();
  showErrors(missing);
  if (missing.length > 0) {
    form.enabled = false;
    form.offerNothing("the default guest");
    return;
  }
  form.onSubmit(boot);
  stop.addEventListener("click", () => machine?.stop());
  findOfferedGuest();
}

/** The server may have a guest for us: `npm run web` puts one there where it can get it. */
async function findOfferedGuest(): Promise<void> {
  const url = new URL(OFFERED_GUEST, location.href);
  try {
    const response = await fetch(url);
    if (response.ok) form.offer((await response.json()) as OfferedGuest, new URL(".", url).href);
    else form.offerNothing("the default guest: this server does not have it");
  } catch {
    form.offerNothing("the default guest: this server does not answer");
  }
}

function boot(): void {
  showErrors([]);
  statistics.hidden = true;
  terminalElement.hidden = false;
  terminal ??= new SerialTerminal(terminalElement, (bytes) => machine?.type(bytes));
  terminal.reset();
  terminal.focus();
  form.enabled = false;
  stop.disabled = false;
  machine = new MachineClient(form.read(terminal.kernelWords), follow);
}

function follow(message: WorkerMessage): void {
  switch (message.kind) {
    case "progress":
      showStatus(message.line);
      break;
    case "running":
      showStatus("running");
      break;
    case "serial":
      terminal?.write(message.bytes, () => machine?.shown(message.bytes.length));
      break;
    case "ended":
      showStatus(describeEnd(message.end));
      statistics.hidden = false;
      statistics.querySelector("pre")?.replaceChildren(message.statistics.join("\n"));
      finish();
      break;
    case "failed":
      showStatus("");
      showErrors([message.line]);
      finish();
      break;
  }
}

function finish(): void {
  machine = undefined;
  stop.disabled = true;
  form.enabled = true;
}

function describeEnd(end: MachineEnd): string {
  switch (end.reason) {
    case "power-off":
      return "The guest has powered off.";
    case "reset":
      return "The guest has reset the machine.";
    case "triple-fault":
      return "The guest's processor has shut down after a triple fault.";
    case "debug-exit":
      return `The guest has ended the machine with the value ${end.value}.`;
    case "stopped":
      return "The plug was pulled.";
  }
}

function showStatus(line: string): void {
  element("status", HTMLParagraphElement).textContent = line;
}

function showErrors(lines: readonly string[]): void {
  const items = lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  });
  element("errors", HTMLUListElement).replaceChildren(...items);
}

main();
