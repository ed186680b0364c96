import { ENGINES, type EngineName } from "../../cli/options.ts";
import type { BootOrder, GuestSource, OfferedGuest } from "../protocol.ts";
import { control, element } from "./element.ts";

const MIB = 2 ** 20;
const GUEST_KINDS = ["offered", "files", "addresses"] as const;
type GuestKind = (typeof GUEST_KINDS)[number];

/** Query parameters of the page that fill in controls of the same name. */
const PARAMETERS = ["kernel", "initrd", "append", "memory"] as const;

/** The form with which a guest and a machine are chosen. */
export class BootForm {
  readonly #form = element("boot", HTMLFormElement);
  readonly #start = element("start", HTMLButtonElement);
  #offered: OfferedGuest | undefined;
  #folder = "";
  /** The user, or whoever made the page's address, has said which kind of guest it shall be. */
  #decided: boolean;

  constructor(parameters: URLSearchParams) {
    const engines = control(this.#form, "engine", HTMLSelectElement);
    for (const name of ENGINES) engines.add(new Option(name, name));
    engines.value = chosenEngine(parameters.get("engine"));
    for (const name of PARAMETERS) {
      const value = parameters.get(name);
      if (value !== null) control(this.#form, name, HTMLInputElement).value = value;
    }
    for (const radio of this.#radios()) {
      radio.addEventListener("change", () => {
        this.#decided = true;
        this.#showChoice();
      });
    }
    this.#decided = parameters.has("kernel");
    this.#choose(this.#decided ? "addresses" : "files");
  }

  /**
   * Lets the user choose the server's guest, and chooses it unless something else has been chosen already.
   * @param folder Where its files are, as an address that ends in a slash.
   */
  offer(guest: OfferedGuest, folder: string): void {
    this.#offered = guest;
    this.#folder = folder;
    this.#radio("offered").disabled = false;
    element("offered-title", HTMLSpanElement).textContent = guest.title;
    if (!this.#decided) this.#choose("offered");
  }

  /** Says why there is no guest to offer. */
  offerNothing(why: string): void {
    element("offered-title", HTMLSpanElement).textContent = why;
  }

  onSubmit(submit: () => void): void {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit();
    });
  }

  set enabled(enabled: boolean) {
    this.#start.disabled = !enabled;
  }

  /** What the user has chosen. The browser has checked each control before the form is submitted. */
  read(terminalWords: string): BootOrder {
    const value = (name: string) => control(this.#form, name, HTMLInputElement).value.trim();
    const append = value("append");
    const machine = {
      memoryBytes: Number(value("memory")) * MIB,
      engine: chosenEngine(control(this.#form, "engine", HTMLSelectElement).value),
    };
    const kind = this.#kind;
    if (kind === "offered" && this.#offered !== undefined) {
      const { kernel, initrd, commandLine } = this.#offered;
      return {
        ...machine,
        kernel: { from: "address", url: this.#folder + kernel },
        initrd: { from: "address", url: this.#folder + initrd },
        commandLine: [commandLine, terminalWords, append].join(" ").trim(),
      };
    }
    const source = kind === "files" ? (name: string) => this.#file(`${name}-file`) : address;
    function address(name: string): GuestSource | undefined {
      return value(name) === "" ? undefined : { from: "address", url: value(name) };
    }
    const kernel = source("kernel");
    if (kernel === undefined) throw new Error("internal error (please report): a form without a kernel");
    return { ...machine, kernel, initrd: source("initrd"), commandLine: append };
  }

  #file(name: string): GuestSource | undefined {
    const file = control(this.#form, name, HTMLInputElement).files?.[0];
    return file && { from: "file", file, name: file.name };
  }

  get #kind(): GuestKind {
    return GUEST_KINDS.find((kind) => this.#radio(kind).checked) ?? "files";
  }

  #choose(kind: GuestKind): void {
    this.#radio(kind).checked = true;
    this.#showChoice();
  }

  /** Shows the controls of the kind of guest that is chosen. Hidden ones are disabled, so that nobody must fill them in. */
  #showChoice(): void {
    for (const kind of ["files", "addresses"] as const) {
      const part = element(kind, HTMLDivElement);
      part.hidden = this.#kind !== kind;
      for (const input of part.querySelectorAll("input")) input.disabled = part.hidden;
    }
  }

  #radio(kind: GuestKind): HTMLInputElement {
    const radio = this.#radios().find(({ value }) => value === kind);
    if (radio === undefined) throw new Error(`internal error (please report): no choice ${kind}`);
    return radio;
  }

  #radios(): HTMLInputElement[] {
    return [...this.#form.querySelectorAll<HTMLInputElement>("input[name=guest]")];
  }
}

function chosenEngine(name: string | null): EngineName {
  return ENGINES.find((engine) => engine === name) ?? "auto";
}
