/** Lines of a guest's transcript, by how they begin, on which a witness disagrees with us, and why we are right. */
export interface Difference {
  readonly guest: string;
  readonly lines: readonly string[];
  readonly why: string;
}

const NO_LIMITS =
  'TCG checks neither limits nor types nor null selectors at an access. SDM 3A "Limit Checking", "Type Checking", "Null Segment Selector Checking"';
const NO_FETCH_LIMIT = 'TCG does not check the limit of CS where it fetches. SDM 3A "Limit Checking"';
const NO_VME =
  'TCG has no CR4.VME and CR4.PVI: CPUID says so. SDM 3B "Interrupt and Exception Handling in Virtual-8086 Mode"';

export const QEMU_DIFFERENCES: readonly Difference[] = [
  {
    guest: "segments",
    lines: [
      "byte outside",
      "doubleword at ffffffff",
      "write read-only",
      "expand-down at its limit",
      "16-bit expand-down at its limit",
      "one byte: word 0",
      "write code",
      "write through cs",
      "read through null",
      "push below a small stack",
      "pop above a small stack",
      "ebp above a small stack",
      "push at 0 wraps to ffffffff",
    ],
    why: NO_LIMITS,
  },
  {
    guest: "segments",
    lines: [
      "astride the limit",
      "relative jump beyond the limit",
      "conditional jump beyond the limit",
      "limit on the next page",
    ],
    why: NO_FETCH_LIMIT,
  },
  {
    guest: "tasks",
    lines: ["fault through a task gate"],
    why: 'TCG saves EFLAGS without RF. SDM 3B "Restart Flag": the value saved for a fault is 1',
  },
  {
    guest: "tasks",
    lines: ["call to a 16-bit TSS"],
    why: 'TCG keeps the upper halves of general registers. SDM 3A "16-Bit Task-State Segment (TSS)" has no field for them and leaves them open; processors make them ones, as Bochs does',
  },
  {
    guest: "tasks",
    lines: ["jmp to a task gate to an LDT"],
    why: 'SDM 2 "JMP", TASK-GATE: a TSS selector with its local bit set is #GP(TSS selector)',
  },
  {
    guest: "tasks",
    lines: [
      "null code segment",
      "data for a code segment",
      "code of another privilege",
      "stack not present",
      "null stack",
      "stack of another privilege",
      "inner data segment",
      "data not present",
      "data beyond the table",
      "LDT that is none",
      "LDT in the LDT",
      "LDT beyond the table",
    ],
    why: "TCG reports the fault at the old EIP with the new task's registers. SDM 3A \"Task Switching\": behind the commit it is the new task's",
  },
  {
    guest: "tasks",
    lines: ["T flag"],
    why: 'TCG ignores the T flag. SDM 3B "Task-Switch Exception Condition"',
  },
  {
    guest: "tasks",
    lines: ["DR7"],
    why: 'TCG keeps DR7.LE; Bochs clears it with L0 to L3, and so do we. SDM 3B "Debug Control Register (DR7)": a task switch clears the local breakpoints; of LE, which processors ignore, it says nothing',
  },
  {
    guest: "virtual-8086",
    lines: ["word at ffff", "offset 10000", "ss word at ffff"],
    why: NO_LIMITS,
  },
  {
    guest: "virtual-8086",
    lines: [
      ...["cli", "sti", "pushf", "popf", "iret sets VIF", "redirected int", "pvi: sti", "pvi: cli"],
      ...["popf with VIP clears IF", "pushf shows", "popf sets VIF", "popf clears VIF"],
      ...["cli clears VIF", "sti sets VIF"],
    ],
    why: NO_VME,
  },
  {
    guest: "debug",
    lines: ["length aligns the address"],
    why: 'SDM 3B "Breakpoint Field Recognition": the processor uses the address aligned to the length',
  },
  {
    guest: "debug",
    lines: ["breakpoint on a rep instruction"],
    why: 'TCG meets the breakpoint again at every iteration, though the handler has set RF. SDM 3B "Restart Flag"',
  },
  {
    guest: "debug",
    lines: ["port", "ports of a word"],
    why: 'TCG pushes RF set for a trap behind a port access. SDM 3B "Restart Flag": it is 0 for traps',
  },
  {
    guest: "debug",
    lines: ["trap flag and breakpoint"],
    why: 'TCG takes the step\'s trap in the handler of the breakpoint\'s. SDM 3B "Single-Step Exception Condition": TF is cleared before the handler is called; "Data Breakpoint Exception Condition" and a step behind one instruction are one exception',
  },
  {
    guest: "debug",
    lines: ["breakpoint behind mov ss"],
    why: 'SDM 3A "Masking Exceptions and Interrupts When Switching Stacks": MOV SS holds instruction breakpoints back',
  },
  { guest: "debug", lines: ["int1"], why: 'TCG has no INT1 (F1). SDM 2 "INT1"' },
  {
    guest: "debug",
    lines: ["general detect"],
    why: 'TCG ignores DR7.GD. SDM 3B "Debug Control Register (DR7)"',
  },
  {
    guest: "debug",
    lines: ["dr7 and dr6 as they read"],
    why: 'TCG lets DR6 bit 12 be set. SDM 3B "Debug Status Register (DR6)": it reads as 0',
  },
];

export const BOCHS_DIFFERENCES: readonly Difference[] = [
  {
    guest: "segments",
    lines: ["doubleword at ffffffff"],
    why: 'An offset of ffffffff lies behind a limit of 15. SDM 3A "Limit Checking"',
  },
];
