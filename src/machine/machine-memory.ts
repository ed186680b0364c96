import { GUEST_RAM, GUEST_RAM_LIMIT, PAGE_BYTES } from "../layout/memory-map.ts";
import { VmError } from "../layout/vm-error.ts";
import { MINIMUM_RAM_BYTES } from "../memory/guest-memory.ts";

const WASM_PAGE_BYTES = 65536;

/**
 * Makes the one memory of a machine, with room for `ramBytes` of guest RAM.
 * The host gives pages when they are touched.
 *
 * @throws {VmError} `memory-size-unsupported`, also when the host has no room.
 */
export function createMachineMemory(ramBytes: number, shared: boolean): WebAssembly.Memory {
  const refuse = (cause?: unknown) =>
    new VmError(
      {
        code: "memory-size-unsupported",
        requestedBytes: ramBytes,
        minimumBytes: MINIMUM_RAM_BYTES,
        maximumBytes: GUEST_RAM_LIMIT,
      },
      { cause },
    );
  const whole = Number.isInteger(ramBytes) && ramBytes % PAGE_BYTES === 0;
  if (!whole || ramBytes < MINIMUM_RAM_BYTES || ramBytes > GUEST_RAM_LIMIT) throw refuse();
  const pages = Math.ceil((GUEST_RAM + ramBytes) / WASM_PAGE_BYTES);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (cause) {
    throw refuse(cause);
  }
}
