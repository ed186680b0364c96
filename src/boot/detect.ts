import { VmError } from "../layout/vm-error.ts";
import type { BootPlan, BootRequest, FirmwareFacts } from "./boot-plan.ts";
import { planLinuxBoot } from "./linux.ts";
import { isLinuxImage } from "./linux-image.ts";
import { planMultibootBoot } from "./multiboot.ts";
import { findMultibootHeader } from "./multiboot-image.ts";

/** A kernel image's format, told by its content. PVH and firmware images are to join. */
export type KernelFormat = "linux-bzimage" | "multiboot";

export function detectKernel(image: Uint8Array): KernelFormat | undefined {
  if (isLinuxImage(image)) return "linux-bzimage";
  if (findMultibootHeader(image) >= 0) return "multiboot";
  return undefined;
}

/**
 * Plans the start of whatever `request.kernel` is.
 *
 * @throws {VmError} `kernel-unrecognised` and everything the format's own plan throws.
 */
export function planBoot(request: BootRequest, facts: FirmwareFacts): BootPlan {
  switch (detectKernel(request.kernel)) {
    case "linux-bzimage":
      return planLinuxBoot(request, facts);
    case "multiboot":
      return planMultibootBoot(request, facts);
    case undefined:
      throw new VmError({ code: "kernel-unrecognised", reason: reasonUnrecognised(request.kernel) });
  }
}

/** Says what the file is instead, where that is easy to see. */
function reasonUnrecognised(image: Uint8Array): string {
  if (image.length === 0) return "the file is empty";
  const [a, b, c, d] = image;
  if (a === 0x7f && b === 0x45 && c === 0x4c && d === 0x46) {
    return "it is an ELF file without a multiboot header; use the bzImage of a Linux kernel";
  }
  if (a === 0x1f && b === 0x8b) return "it is a gzip file; unpack it first";
  return "it is neither a Linux bzImage nor a multiboot kernel";
}
