import { GuestUnavailableError } from "../host/guest-unavailable.ts";
import { VmError } from "../layout/vm-error.ts";
import type { SentError } from "./thread-protocol.ts";

/** Makes an error fit to travel. */
export function sendError(error: unknown): SentError {
  if (error instanceof VmError) return { detail: error.detail };
  if (error instanceof GuestUnavailableError) return { guestUnavailable: error.message };
  if (error instanceof Error) return { message: error.message, stack: error.stack };
  return { message: String(error), stack: undefined };
}

/** The error that was sent; its stack is the receiver's where the kind of error says enough. */
export function receiveError(sent: SentError): Error {
  if ("detail" in sent) return new VmError(sent.detail);
  if ("guestUnavailable" in sent) return new GuestUnavailableError(sent.guestUnavailable);
  const error = new Error(sent.message);
  if (sent.stack !== undefined) error.stack = sent.stack;
  return error;
}
