import {
  createProcessor,
  type EngineName,
  type ProcessorParts,
  type ProcessorRequest,
} from "../machine/create-processor.ts";
import { createMachineMemory } from "../machine/machine-memory.ts";
import { LockstepProcessor } from "./lockstep-processor.ts";
import type { Side } from "./side.ts";
import { SurroundingsLog } from "./surroundings-log.ts";

export interface LockstepRequest extends Omit<ProcessorRequest, "engine" | "observe"> {
  /** What is compared with the interpreter. */
  readonly against: EngineName;
  /** For tests: what to make of the follower's side. */
  readonly alter?: (side: Side) => Side;
}

export interface LockstepParts {
  readonly processor: LockstepProcessor;
  /** The interpreter's, which leads. */
  readonly leader: ProcessorParts;
}

/**
 * Builds two processors that run side by side: an interpreter over the
 * machine's memory, and another engine over a second memory of the same size.
 *
 * @throws {VmError} `memory-size-unsupported` when the host has no room for the second.
 */
export function createLockstepProcessor(request: LockstepRequest): LockstepParts {
  const { against, alter, ...common } = request;
  const log = new SurroundingsLog();
  const leader = createProcessor({
    ...common,
    engine: "interpreter",
    surroundings: log.recorder(request.surroundings, () => leaderSide),
  });
  const memory = createMachineMemory(request.ramBytes, isShared(request.memory));
  const follower = createProcessor({
    ...common,
    memory,
    engine: against,
    surroundings: log.player(() => followerSide),
  });
  const leaderSide: Side = { name: "interpreter", memory: request.memory, ...leader };
  const plain: Side = { name: against, memory, ...follower };
  const followerSide = alter === undefined ? plain : alter(plain);
  return { processor: new LockstepProcessor([leaderSide, followerSide], log, request.ramBytes), leader };
}

function isShared({ buffer }: WebAssembly.Memory): boolean {
  return typeof SharedArrayBuffer !== "undefined" && buffer instanceof SharedArrayBuffer;
}
