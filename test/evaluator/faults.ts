import { FAULTS, FAULTS_WITH_ERROR_CODE, type FaultName } from "../../src/isa/faults.ts";
import type { HelperName } from "../../src/isa/helpers.ts";

/** An exception of the guest. Thrown, since nothing that an instruction does after it may count. */
export class GuestFault extends Error {
  readonly fault: FaultName;
  /** Error code; 0 where the exception has none. */
  readonly errorCode: number;
  /** Of a page fault. */
  readonly address: bigint;
  /** The instruction is finished: RIP is that of the next one (INT3, INTO). */
  readonly isTrap: boolean;

  constructor(fault: FaultName, more: { errorCode?: number; address?: bigint; isTrap?: true } = {}) {
    super(fault);
    this.fault = fault;
    this.errorCode = more.errorCode ?? 0;
    this.address = more.address ?? 0n;
    this.isTrap = more.isTrap ?? false;
  }

  get vector(): number {
    return FAULTS[this.fault];
  }

  get hasErrorCode(): boolean {
    return FAULTS_WITH_ERROR_CODE.includes(this.fault);
  }
}

/** An instruction asks for a function of src/core that the evaluator has no model of. */
export class UnsupportedHelper extends Error {
  readonly helper: HelperName;

  constructor(helper: HelperName) {
    super(`the evaluator has no model of ${helper}`);
    this.helper = helper;
  }
}
