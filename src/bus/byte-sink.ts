/** Where a device's bytes go: a terminal, a file, a test's buffer. */
export interface ByteSink {
  write(byte: number): void;
}
