/**
 * A ready-made guest cannot be had on this host: no package client, no network,
 * no such package. A mistake the caller can correct by naming files of their own.
 */
export class GuestUnavailableError extends Error {
  override readonly name = "GuestUnavailableError";
}
