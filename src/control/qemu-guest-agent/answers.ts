// What the QEMU guest agent answers, checked: it is a program of the guest.

import { VmError } from "../../layout/vm-error.ts";
import { fromBase64 } from "../base64.ts";

/** An object of an answer, by member. */
export class Answer {
  readonly #command: string;
  readonly #members: Readonly<Record<string, unknown>>;

  /** @throws {VmError} `agent-refused`, when the answer is no object. */
  constructor(command: string, value: unknown) {
    this.#command = command;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw strange(command, "is no object");
    this.#members = value as Readonly<Record<string, unknown>>;
  }

  /** A whole number from 0 to 2**53 - 1. */
  number(name: string): number {
    return wholeNumber(this.#command, this.#members[name]);
  }

  optionalNumber(name: string): number | undefined {
    return this.#members[name] === undefined ? undefined : this.number(name);
  }

  flag(name: string): boolean {
    return this.#members[name] === true;
  }

  text(name: string): string {
    const value = this.#members[name];
    if (typeof value !== "string") throw strange(this.#command, `has no text ${name}`);
    return value;
  }

  optionalText(name: string): string | undefined {
    return this.#members[name] === undefined ? undefined : this.text(name);
  }

  /** Bytes sent as base64; none if absent. */
  bytes(name: string): Uint8Array<ArrayBuffer> {
    const bytes = fromBase64(this.optionalText(name) ?? "");
    if (bytes === undefined) throw strange(this.#command, `has no base64 in ${name}`);
    return bytes;
  }

  /** The objects of a list; none if absent. */
  list(name: string): Answer[] {
    return answerList(this.#command, this.#members[name] ?? []);
  }
}

export function wholeNumber(command: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw strange(command, "has no whole number where one belongs");
  return value;
}

export function answerList(command: string, value: unknown): Answer[] {
  if (!Array.isArray(value)) throw strange(command, "is no list");
  return value.map((member) => new Answer(command, member));
}

function strange(command: string, what: string): VmError {
  return new VmError({ code: "agent-refused", command, reason: `its answer ${what}` });
}
