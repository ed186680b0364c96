// What leads to a task switch: TSS descriptors and task gates in far JMP and CALL, task gates in the IDT, IRET.
// SDM 3A "Task Gate Descriptor"; SDM 2 "JMP—Jump", "CALL—Call Procedure", "IRET—Interrupt Return".
import { STATUS_FAULT, STATUS_JUMP } from "../../layout/cpu-state";
import { fetched, raiseSelector } from "./descriptor-tables";
import { ATTRIBUTE_P, TYPE_TASK_GATE, descriptorAttributes, privilegeOf, systemTypeOf } from "./descriptors";
import { deliverFault } from "./delivery";
import { VECTOR_GP, VECTOR_NP } from "./faults";
import { returnForEvents } from "./interrupts";
import { currentPrivilege, isLongMode } from "./mode";
import { BY_CALL, BY_JUMP, isInNewTask, mayReturnToTask, returnToTask, switchTask } from "./task-switch";

/** A far transfer to the fetched system descriptor, which is no call gate. */
export function transferToTask(selector: i32, isCall: bool): i32 {
  if (isLongMode()) return raiseSelector(VECTOR_GP, selector);
  const attributes = descriptorAttributes(fetched);
  if (max(currentPrivilege(), selector & 3) > privilegeOf(attributes)) return raiseSelector(VECTOR_GP, selector);
  let target = selector;
  if (systemTypeOf(attributes) == TYPE_TASK_GATE) {
    if (!(attributes & ATTRIBUTE_P)) return raiseSelector(VECTOR_NP, selector);
    target = <i32>(fetched >> 16) & 0xffff;
  }
  return settle(switchTask(target, isCall ? BY_CALL : BY_JUMP, -1, 0));
}

/** IRET outside of long mode with NT set. */
export function returnFromTask(): i32 {
  return mayReturnToTask() ? settle(returnToTask()) : raiseSelector(VECTOR_GP, 0);
}

/** An instruction that has changed the task is done, even if the new task's first event is a fault. */
export function settle(status: i32): i32 {
  if (status == STATUS_FAULT && isInNewTask()) status = deliverFault();
  if (status == STATUS_JUMP) returnForEvents();
  return status;
}
