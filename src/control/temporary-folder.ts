/** A path in the guest for what a command needs while it runs. */
export function temporaryFolder(): string {
  const number = () => Math.floor(Math.random() * 2 ** 52).toString(36);
  return `/tmp/.ringfence-${number()}${number()}`;
}
