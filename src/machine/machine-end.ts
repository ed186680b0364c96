/** Why a machine has stopped for good. */
export type MachineEnd =
  /** The guest turned itself off (ACPI S5). */
  | { readonly reason: "power-off" }
  /** The guest asked for a reset and the machine is not to reboot. */
  | { readonly reason: "reset" }
  /** The processor shut down and the machine is not to reboot. */
  | { readonly reason: "triple-fault" }
  /** The guest wrote this number, of up to 32 bits, to the debug-exit port. */
  | { readonly reason: "debug-exit"; readonly value: number }
  /** The host called `stop`. */
  | { readonly reason: "stopped" };
