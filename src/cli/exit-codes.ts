/**
 * What `ringfence run` leaves behind. All of ours are even: a guest that ends the machine through its debug-exit port
 * gives `(value << 1) | 1`, which is odd, as on QEMU's isa-debug-exit.
 *
 * The program of an imported container image gives any, as docker's does, so one of ours can be its too: only ours
 * comes with a line on standard error. Where the program does not start its image's scripts give 125, 126 or 127
 * (`container-init.ts`).
 */

/** The guest powered itself off, or the user left with Ctrl-A X. */
export const EXIT_POWERED_OFF = 0;
/** The command line, a file or a size is wrong. Nothing was started, or the guest could not be loaded. */
export const EXIT_BAD_INPUT = 2;
/** The guest reset the machine and `--no-reboot` was given. */
export const EXIT_RESET = 4;
/** The processor shut down after a triple fault. */
export const EXIT_TRIPLE_FAULT = 6;
/** A bug in Ringfence, or an installation that is not complete. */
export const EXIT_INTERNAL_ERROR = 8;
/** Serial output could not be written: the reader of the pipe has gone, or the disk is full. */
export const EXIT_OUTPUT_LOST = 10;

/** With `--engine lockstep`: two engines did not do the same. */
export const EXIT_ENGINES_DIFFER = 12;

/** Status for a guest that wrote `value` to its debug-exit port. A process status has 8 bits. */
export function debugExitStatus(value: number): number {
  return ((value << 1) | 1) & 0xff;
}
