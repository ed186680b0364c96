/** A keyboard or mouse at the other end of one of the controller's PS/2 ports. */
export interface Ps2Device {
  /** A byte from the controller: a command or its argument. */
  write(byte: number): void;
  /** The next byte for the controller, or undefined. */
  take(): number | undefined;
  /** Set by the controller; called when bytes have become available. */
  onData: (() => void) | undefined;
}

// Bytes that keyboards and mice answer with (IBM PS/2 Technical Reference, "Keyboard", "Mouse").
export const ACK = 0xfa;
export const RESEND = 0xfe;
export const SELF_TEST_PASSED = 0xaa;
