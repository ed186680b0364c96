/** A command line that cannot be carried out. Its message is one line for the user. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
