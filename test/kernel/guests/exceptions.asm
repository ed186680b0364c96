; Exceptions in 64-bit mode: gates and their privilege, stacks of the TSS and IST, nested faults and which of them make a
; double fault, IRET to every mode, NT, the order of faults, single steps and shadows.
%macro EXTRA_GDT 0
  descriptor 0, 0xfffff, 0x92, 0xc              ; 50 data, not yet accessed
  descriptor 0, 0xfffff, 0x1b, 0xa              ; 58 64-bit code, not present
  descriptor 0, 0xfffff, 0xfb, 0xe              ; 60 code with L and D
  descriptor 0, 0xfffff, 0x9f, 0xa              ; 68 conforming 64-bit code
  descriptor 0, 0xfffff, 0x13, 0xc              ; 70 data, not present
  dw AT(call_target), KCODE                     ; 78 call gate of 16 bytes, DPL 3
  db 0, 0xec
  dw AT(call_target) >> 16
  dq 0
  dw AT(call_target), UDATA                     ; 88 call gate to data
  db 0, 0xec
  dw AT(call_target) >> 16
  dq 0
  dw AT(call_target), KCODE32                   ; 98 call gate to 32-bit code
  db 0, 0xec
  dw AT(call_target) >> 16
  dq 0
  descriptor 0, 0xffff, 0x9b, 0x0               ; a8 16-bit code
%endmacro
%include "long.inc"

; The gate of a vector: type and DPL, and IST.
%macro set_gate 3
  mov byte [idt + (%1) * 16 + 5], %2
  mov byte [idt + (%1) * 16 + 4], %3
%endmacro
%macro set_gate_selector 2
  mov word [idt + (%1) * 16 + 2], %2
%endmacro
VECTOR equ 0x32

; IRETQ's frame: SS, RSP, RFLAGS, CS, RIP.
%macro iret_to 5
  push qword %1
  push qword %2
  push qword %3
  push qword %4
  push qword %5
%endmacro

main:
  ; Gates.
  try "int through a gate of DPL 0", int VECTOR
  try_user "int through a gate of DPL 0, at 3", int VECTOR
  set_gate VECTOR, 0xef, 0
  try_user "trap gate at 3", int VECTOR
  set_gate VECTOR, 0x6e, 0
  try "gate not present", int VECTOR
  try_user "gate not present, at 3", int VECTOR
  set_gate VECTOR, 0xe5, 0
  try "task gate", int VECTOR
  set_gate VECTOR, 0xe6, 0
  try "16-bit gate", int VECTOR
  set_gate VECTOR, 0xec, 0
  try "call gate", int VECTOR
  set_gate VECTOR, 0xee, 0
  set_gate_selector VECTOR, 0
  try "null selector", int VECTOR
  set_gate_selector VECTOR, KDATA
  try "data selector", int VECTOR
  set_gate_selector VECTOR, UCODE
  try "outer code", int VECTOR
  set_gate_selector VECTOR, KCODE32
  try "32-bit code", int VECTOR
  set_gate_selector VECTOR, 0x58
  try "code not present", int VECTOR
  set_gate_selector VECTOR, 0x60
  try "code with L and D", int VECTOR
  set_gate_selector VECTOR, 0x68
  try "conforming code", int VECTOR
  try_user "conforming code at 3", int VECTOR
  set_gate_selector VECTOR, 0xfff8
  try "beyond the table", int VECTOR
  set_gate_selector VECTOR, KCODE
  try "beyond the IDT", int 0x80
  mov byte [idt + VECTOR * 16 + 13], 0x80
  try "offset not canonical", int VECTOR
  mov byte [idt + VECTOR * 16 + 13], 0

  ; Stacks.
  mov qword [hooks + VECTOR * 8], show_stack
  try "stack of level 0", int VECTOR
  check "aligned by 16"
  sub rsp, 4
  int VECTOR
  add rsp, 4
  done
  check_user "stack from the TSS"
  int VECTOR
  done_user
  mov qword [tss + 44], ist2_top
  set_gate VECTOR, 0xee, 2
  try "IST 2", int VECTOR
  try_user "IST 2 from 3", int VECTOR
  mov qword [tss + 44], ist2_top - 5
  try "IST 2, not aligned", int VECTOR
  mov rax, 0x800000000000
  mov [tss + 44], rax
  try "IST not canonical", int VECTOR
  mov rax, 0x200000000
  mov [tss + 44], rax
  try "IST not mapped", int VECTOR
  set_gate VECTOR, 0xee, 0
  mov rax, 0x800000000000
  mov [tss + 4], rax
  set_gate 13, 0x8e, 1
  try_user "RSP0 not canonical", int VECTOR
  mov qword [tss + 4], trap_stack_top
  mov word [gdt + TSS_SELECTOR], 50
  mov byte [gdt + TSS_SELECTOR + 5], 0x89
  mov ax, TSS_SELECTOR
  ltr ax
  set_gate VECTOR, 0xee, 2
  try_user "IST 2 beyond a TSS of 51 bytes", int VECTOR
  set_gate VECTOR, 0xee, 0
  try_user "RSP0 in a TSS of 51 bytes", int VECTOR
  mov word [gdt + TSS_SELECTOR], 103
  mov byte [gdt + TSS_SELECTOR + 5], 0x89
  mov ax, TSS_SELECTOR
  ltr ax

  ; Nested faults.
  set_gate 0, 0x0e, 0
  check "#DE into a gate not present"
  xor ecx, ecx
  div ecx
  done
  set_gate 0, 0x8e, 0
  set_gate_selector 0, 0
  check "#DE through a null selector"
  xor ecx, ecx
  div ecx
  done
  set_gate_selector 0, KCODE
  set_gate 6, 0x0e, 0
  try "#UD into a gate not present", ud2
  set_gate 6, 0x8e, 0
  set_gate 13, 0x0e, 1
  check "#GP into a gate not present"
  mov eax, 0xfff8
  mov fs, ax
  done
  set_gate 13, 0x8e, 1
  set_gate 14, 0x0e, 1
  check "#PF into a gate not present"
  mov rdi, 0x200000000
  mov al, [rdi]
  done
  set_gate 14, 0x8e, 1
  set_gate 0, 0x8e, 3
  mov rax, 0x200000000
  mov [tss + 52], rax
  check "#DE whose stack is not mapped"
  xor ecx, ecx
  div ecx
  done
  set_gate 0, 0x8e, 0
  set_gate 14, 0x8e, 3
  check "#PF whose stack is not mapped"
  mov rdi, 0x200000008
  mov al, [rdi]
  done
  set_gate 14, 0x8e, 1
  set_gate 13, 0x8e, 3
  check "#GP whose stack is not mapped"
  mov eax, 0xfff8
  mov fs, ax
  done
  mov rax, 0x800000000000
  mov [tss + 52], rax
  check "#GP whose stack is not canonical"
  mov eax, 0xfff8
  mov fs, ax
  done
  set_gate 13, 0x8e, 1
  set_gate 1, 0x0e, 0
  try "int1 into a gate not present", {db 0xf1}
  set_gate 1, 0x8e, 0
  set_gate 3, 0x6e, 0
  try "int3 into a gate not present", int3
  set_gate 3, 0xee, 0
  mov rax, [idt + 8 * 16]
  mov [idt_of_double_fault + 8 * 16], rax
  lidt [pointer_to_double_fault]
  check "#UD, no #GP, but #DF"
  ud2
  done
  lidt [idt_pointer]

  ; Order of faults.
  check "#UD before #GP: lock mov to cr"
  lock mov cr0, rax
  done
  try_user "#GP before #PF: hlt", hlt
  check_user "mov cr at 3, no such register"
  mov rax, cr0
  done_user
  check "no such control register"
  db 0x0f, 0x20, 0xc8             ; cr1
  done
  check "cr15"
  db 0x44, 0x0f, 0x20, 0xf8
  done
  check "#NM before #PF: fld"
  mov rax, cr0
  or eax, 8
  mov cr0, rax
  mov rdi, 0x200000000
  fld qword [rdi]
  done
  try "#NM: movaps", {movaps xmm0, [rdi + 1]}
  clts
  try "#GP for alignment before #PF", {movaps xmm0, [rdi + 1]}
  try "#UD before #NM: lock addps", {db 0xf0, 0x0f, 0x58, 0xc1}
  check "divide error before nothing"
  mov eax, 1
  xor edx, edx
  mov [scratch], rdx
  div qword [scratch]
  done
  check "divide overflow"
  mov edx, 1
  mov dword [scratch], 1
  div qword [scratch]
  done
  check "idiv of the least number"
  mov rdx, 0x8000000000000000
  xor eax, eax
  mov qword [scratch], -1
  idiv qword [scratch]
  done
  check "16 bytes of prefixes"
  times 14 db 0x66
  nop
  times 15 db 0x66
  nop
  done
  check "alignment check at 0"
  pushfq
  or dword [rsp], 0x40000
  popfq
  mov rax, cr0
  bts rax, 18
  mov cr0, rax
  mov eax, [scratch + 1]
  done
  pushfq
  and dword [rsp], ~0x40000
  popfq
  check_user_with_flags "alignment check at 3", 0x40002
  mov eax, [USER(scratch) + 1]
  done_user
  check_user_with_flags "alignment check before page fault", 0x40002
  mov rdi, 0x200000001
  mov eax, [rdi]
  done_user
  check_user_with_flags "alignment check of a push", 0x40002
  sub rsp, 4
  push rax
  done_user
  check_user_with_flags "word at an even address", 0x40002
  mov ax, [USER(scratch) + 2]
  done_user
  mov rax, cr0
  btr rax, 18
  mov cr0, rax

  ; IRET.
  check "iretq to level 3, null SS"
  iret_to 3, USER(user_stack_top), 2, UCODE, USER(user_end)
  iretq
  done
  check "iretq to level 0, null SS"
  iret_to 0, resume_rsp, 2, KCODE, .iret1
  iretq
.iret1:
  mov eax, ss
  show16 rax
  mov eax, KDATA
  mov ss, eax
  mov rsp, [resume_rsp]
  done
  check "iretq to level 0 in 32-bit code, null SS"
  iret_to 0, ist2_top, 2, KCODE32, .iret32
  iretq
  bits 32
.iret32:
  int 0x30
  bits 64
  done
  check "iretq, data for CS"
  iret_to KDATA, ist2_top, 2, KDATA, .iret1
  iretq
  done
  check "iretq, null CS"
  iret_to KDATA, ist2_top, 2, 0, .iret1
  iretq
  done
  check "iretq, CS not present"
  iret_to KDATA, ist2_top, 2, 0x58, .iret1
  iretq
  done
  check "iretq, CS with L and D"
  iret_to UDATA, ist2_top, 2, 0x63, .iret1
  iretq
  done
  check "iretq, SS not present"
  iret_to 0x70, ist2_top, 2, KCODE, .iret1
  iretq
  done
  check "iretq, SS of another level"
  iret_to KDATA, ist2_top, 2, UCODE, .iret1
  iretq
  done
  check "iretq, SS is code"
  iret_to UCODE, ist2_top, 2, UCODE, .iret1
  iretq
  done
  check "iretq with NT"
  iret_to KDATA, ist2_top, 2, KCODE, .iret1
  pushfq
  or dword [rsp], 0x4000
  popfq
  iretq
  done
  pushfq
  and dword [rsp], ~0x4000
  popfq
  check "iretq, VM is ignored"
  mov rax, rsp
  iret_to KDATA, rax, 0x20002, KCODE, .iret2
  iretq
.iret2:
  pushfq
  pop rax
  show rax
  done
  check_user "iretq at 3 cannot change IOPL and IF"
  mov rax, rsp
  iret_to UDATA, rax, 0x3202, UCODE, USER(.iret3)
  iretq
.iret3:
  pushfq
  pop r8
  done_user
  show r8
  call new_line
  check_user "iretq at 3 to level 0"
  iret_to KDATA, ist2_top, 2, KCODE, .iret1
  iretq
  done_user
  check "iretd to 32-bit code"
  sub rsp, 20
  mov dword [rsp], AT(.iret4)
  mov dword [rsp + 4], KCODE32
  mov dword [rsp + 8], 2
  mov dword [rsp + 12], AT(stack_in_reach)
  mov dword [rsp + 16], KDATA
  iretd
  bits 32
.iret4:
  mov eax, cs
  int 0x2f
  bits 64
  done
  check "retf to 64-bit code"
  push qword KCODE
  push qword .far1
  retfq
.far1:
  done
  check "jmp far to 64-bit code by 48 bits"
  mov dword [scratch], AT(.far2)
  mov word [scratch + 4], KCODE
  jmp far dword [scratch]
.far2:
  done

  ; Call gates.
  mov dword [scratch], 0
  mov word [scratch + 4], 0x78
  check "call gate from 0"
  call far dword [scratch]
  done
  mov dword [scratch], 0
  mov word [scratch + 4], 0x7b
  check_user "call gate from 3"
  call far dword [USER(scratch)]
  done_user
  mov word [scratch + 4], 0x88
  try "call gate to data", {call far dword [scratch]}
  mov word [scratch + 4], 0x98
  try "call gate to 32-bit code", {call far dword [scratch]}
  mov word [scratch + 4], 0x80
  try "upper half of a gate", {call far dword [scratch]}
  mov byte [gdt + 0x78 + 13], 1
  mov word [scratch + 4], 0x78
  try "type in the upper half", {call far dword [scratch]}
  mov byte [gdt + 0x78 + 13], 0
  mov word [scratch + 4], TSS_SELECTOR
  try "jmp to a TSS", {jmp far dword [scratch]}

  ; System segments in 64-bit mode.
  mov ax, TSS_SELECTOR
  try "ltr of a busy TSS", {ltr ax}
  mov eax, KDATA
  try "ltr of data", {ltr ax}
  mov eax, gdt_end - gdt - 8
  try "ltr of half a descriptor", {ltr ax}
  mov eax, 0x50
  check "accessed bit of data"
  mov fs, ax
  show16 qword [gdt + 0x54]
  done

  ; Steps and shadows.
  mov qword [hooks + 8], on_debug
  check "trap flag"
  pushfq
  or dword [rsp], 0x100
  popfq
  nop
  mov eax, ss
  mov ss, eax
  nop
  nop
  pushfq
  and dword [rsp], ~0x100
  popfq
  done
  check_user_with_flags "trap flag at 3", 0x102
  nop
  nop
  nop
  done_user
  check "trap flag, faulting instruction"
  pushfq
  or dword [rsp], 0x100
  popfq
  ud2
  done
  check "trap flag, int"
  pushfq
  or dword [rsp], 0x100
  popfq
  int VECTOR
  nop
  pushfq
  and dword [rsp], ~0x100
  popfq
  done
  check "RF of a fault and of a trap"
  mov qword [hooks + 6 * 8], on_flags
  ud2
  mov qword [hooks + 3 * 8], on_flags
  int3
  done
  mov qword [hooks + 3 * 8], 0
  mov qword [hooks + 6 * 8], 0

  ret

user_end:
  int 0x30

; A call gate's target: level, stack, and back.
call_target:
  mov eax, cs
  mov ebx, ss
  push rax
  push rbx
  call new_line
  pop rbx
  pop rax
  say "in the gate's target:"
  show16 rax
  show16 rbx
  mov eax, [rsp + 8]
  show16 rax
  retfq

; Where the frame lies, and what the flags are.
show_stack:
  lea rax, [rbp + FRAME_SS + 8]
  sub rax, stack_bottom
  show rax
  show16 qword [rbp + FRAME_SS]
  mov rax, [rbp + FRAME_RSP]
  and eax, 15
  show16 rax
  mov eax, ss
  show16 rax
  ret

on_flags:
  show qword [rbp + FRAME_RFLAGS]
  cmp qword [rbp + FRAME_VECTOR], 6
  jne .end
  add qword [rbp + FRAME_RIP], 2
.end:
  ret

on_debug:
  say " !"
  mov rdx, [rbp + FRAME_RIP]
  sub rdx, [origin]
  test byte [rbp + FRAME_CS], 3
  jz .supervisor
  sub rdx, USER_ALIAS
.supervisor:
  shl rdx, 56
  mov ecx, 2
  call put_digits
  mov rax, dr6
  show16 rax
  mov eax, 0xffff0ff0
  mov dr6, rax
  ret

pointer_to_double_fault:
  dw 9 * 16 - 1
  dq idt_of_double_fault
  align 16
scratch: dq 0, 0
idt_of_double_fault:
  times 9 * 16 db 0
  times 64 dd 0
stack_in_reach:
section .bss
  alignb 4096
stack_bottom:
  resb 4096
ist2_top:
image_end:
