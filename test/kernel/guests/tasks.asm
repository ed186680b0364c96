; Hardware task switches: JMP, CALL and IRET, task gates in GDT and IDT, what is saved and loaded, the busy bit, NT, the
; link, CR0.TS, the T flag, and the faults of a switch.
%macro EXTRA_GDT 0
  descriptor AT(tss_b), 103, 0x89, 0    ; 30 task B, 32-bit
  descriptor AT(tss_c), 43, 0x81, 0     ; 38 task C, 16-bit
  gate 0x30, 0, 0x85, 0                 ; 40 task gate to B
  gate 0x30, 0, 0xe5, 0                 ; 48 task gate to B, DPL 3
  descriptor AT(tss_b), 103, 0x09, 0    ; 50 not present
  descriptor AT(tss_b), 102, 0x89, 0    ; 58 too short
  gate 0x30, 0, 0x05, 0                 ; 60 task gate, not present
  gate 0x34, 0, 0x85, 0                 ; 68 task gate to a TSS in an LDT
  gate 0x10, 0, 0x85, 0                 ; 70 task gate to data
  descriptor 0, 0xffff, 0x9b, 0         ; 78 16-bit code
  descriptor 0, 0xfffff, 0x13, 0xc      ; 80 data, not present
  descriptor AT(task_ldt), 15, 0x82, 0  ; 88 LDT
  descriptor 0, 0xffff, 0x93, 0         ; 90 16-bit data
%endmacro
%include "protected.inc"

%macro show_busy 1
  movzx eax, byte [gdt + %1 + 5]
  and eax, 15
  show eax
%endmacro

; Task B as it starts: flat, at a label.
%macro prepare_b 1
  mov edi, tss_b
  mov ecx, 26
  xor eax, eax
  rep stosd
  mov dword [tss_b + 0x20], %1
  mov dword [tss_b + 0x24], 0x8c3       ; OF SF ZF CF
  mov dword [tss_b + 0x28], 0x11111111
  mov dword [tss_b + 0x2c], 0x22222222
  mov dword [tss_b + 0x30], 0x33333333
  mov dword [tss_b + 0x34], 0x44444444
  mov dword [tss_b + 0x38], task_stack_top
  mov dword [tss_b + 0x3c], 0x66666666
  mov dword [tss_b + 0x40], 0x77777777
  mov dword [tss_b + 0x44], 0x88888888
  mov dword [tss_b + 0x48], KDATA
  mov dword [tss_b + 0x4c], KCODE
  mov dword [tss_b + 0x50], KDATA
  mov dword [tss_b + 0x54], KDATA
  mov dword [tss_b + 0x58], 0x23
  mov dword [tss_b + 0x5c], 0
  mov byte [gdt + 0x30 + 5], 0x89
%endmacro

main:
  prepare_b task_b
  check "jmp to a TSS"
  mov eax, 0xa0a0a0a0
  mov ecx, 0xa1a1a1a1
  mov edx, 0xa2a2a2a2
  mov ebx, 0xa3a3a3a3
  mov ebp, 0xa5a5a5a5
  mov esi, 0xa6a6a6a6
  mov edi, 0xa7a7a7a7
  jmp 0x30:0
  show eax
  show edi
  show_busy 0x28
  show_busy 0x30
  done
  check "what was saved"
  show [tss + 0x28]
  show [tss + 0x2c]
  show [tss + 0x30]
  show [tss + 0x34]
  show [tss + 0x3c]
  show [tss + 0x40]
  show [tss + 0x44]
  show [tss + 0x4c]
  show [tss + 0x50]
  show [tss + 0x54]
  mov eax, [tss + 0x24]
  and eax, ~0x8d5
  show eax
  done

  prepare_b task_b_call
  clts
  check "call to a TSS"
  call 0x30:0
  pushfd
  pop eax
  and eax, 0x4000
  show eax
  str eax
  show eax
  show_busy 0x28
  show_busy 0x30
  mov eax, [tss_b + 0x24]
  and eax, 0x4000
  show eax
  show [tss_b + 0x20]
  done

  prepare_b task_b_call
  check "call through a task gate"
  call 0x40:0
  done

  prepare_b task_b_call
  mov dword [idt + 0x21 * 8], 0x00300000
  mov dword [idt + 0x21 * 8 + 4], 0x0000e500
  mov word [tss + 0], 0
  check "int through a task gate"
  int 0x21
  show_busy 0x28
  show_busy 0x30
  done

  ; a fault with an error code
  prepare_b task_b_fault
  mov eax, [idt + 13 * 8]
  mov [saved_gate], eax
  mov eax, [idt + 13 * 8 + 4]
  mov [saved_gate + 4], eax
  mov dword [idt + 13 * 8], 0x00300000
  mov dword [idt + 13 * 8 + 4], 0x00008500
  check "fault through a task gate"
  mov eax, 0xfff8
.faulting:
  mov fs, ax
  show eax
  mov eax, [tss + 0x24]
  and eax, 0x10000
  show eax
  done
  mov eax, [saved_gate]
  mov [idt + 13 * 8], eax
  mov eax, [saved_gate + 4]
  mov [idt + 13 * 8 + 4], eax

  ; a 16-bit task
  mov edi, tss_c
  mov ecx, 11
  xor eax, eax
  rep stosd
  mov word [tss_c + 0x0e], low_place
  mov word [tss_c + 0x10], 0x0003
  mov word [tss_c + 0x12], 0x1111
  mov word [tss_c + 0x1a], 0x7ff0
  mov word [tss_c + 0x22], KDATA
  mov word [tss_c + 0x24], 0x78
  mov word [tss_c + 0x26], 0x90
  mov word [tss_c + 0x28], KDATA
  mov esi, task_c
  mov edi, low_place
  mov ecx, task_c_end - task_c
  rep movsb
  mov byte [gdt + 0x38 + 5], 0x81
  check "call to a 16-bit TSS"
  mov eax, 0xb0b0b0b0
  call 0x38:0
  show eax
  show [low_place + 0x100]
  show [low_place + 0x104]
  show [low_place + 0x108]
  show_busy 0x38
  show [tss_c]
  done

  ; refusals
  prepare_b task_b
  try "jmp to the running task", jmp 0x28:0
  try "jmp to a TSS not present", jmp 0x50:0
  try "jmp to a short TSS", jmp 0x58:0
  try "jmp to a task gate not present", jmp 0x60:0
  try "jmp to a task gate to an LDT", jmp 0x68:0
  try "jmp to a task gate to data", jmp 0x70:0
  try_user "jmp to a TSS at 3", jmp 0x30:0
  try_user "jmp to a task gate of DPL 0 at 3", jmp 0x40:0
  try_user "call a TSS with RPL 3", {call 0x33:0}
  mov word [tss], 0
  check "iret with a null link"
  pushfd
  or dword [esp], 0x4000
  popfd
  iretd
  done
  mov word [tss], 0x30
  check "iret to a task that is not busy"
  pushfd
  or dword [esp], 0x4000
  popfd
  iretd
  done
  pushfd
  and dword [esp], ~0x4000
  popfd

  ; faults of the new task
; At privilege level 3 where there is a fourth parameter: at level 0 there would be no stack to report it on.
%macro new_task_fault 3-4 0
  prepare_b task_b_never
  %if %4 == 3
    mov dword [tss_b + 0x4c], UCODE
    mov dword [tss_b + 0x50], UDATA
    mov dword [tss_b + 0x54], UDATA
    mov dword [tss_b + 0x48], UDATA
    mov dword [tss_b + 4], trap_stack_top
    mov dword [tss_b + 8], KDATA
  %endif
  mov dword [tss_b + %2], %3
  check %1
  mov dword [origin], task_b_never
  jmp 0x30:0
  done
  call back_to_main
%endmacro
  new_task_fault "null code segment", 0x4c, 0
  new_task_fault "data for a code segment", 0x4c, KDATA
  new_task_fault "code of another privilege", 0x4c, 0x1b & ~3
  new_task_fault "stack not present", 0x50, 0x83, 3
  new_task_fault "null stack", 0x50, 0, 3
  new_task_fault "stack of another privilege", 0x50, 0x20, 3
  new_task_fault "inner data segment", 0x54, 0x10, 3
  new_task_fault "data not present", 0x54, 0x80
  new_task_fault "data beyond the table", 0x54, 0xfff8
  new_task_fault "LDT that is none", 0x60, 0x10, 3
  new_task_fault "LDT in the LDT", 0x60, 0x14, 3
  new_task_fault "LDT beyond the table", 0x60, 0xfff8, 3

  ; an LDT of its own
  prepare_b task_b_ldt
  mov dword [tss_b + 0x60], 0x88
  mov dword [tss_b + 0x58], 0x0c
  check "LDT of a task"
  call 0x30:0
  sldt eax
  show eax
  done

  ; the T flag
  prepare_b task_b_trap
  mov byte [tss_b + 0x64], 1
  mov dword [hooks + 4], note_trap
  check "T flag"
  xor eax, eax
  mov dr6, eax
  call 0x30:0
  show [trapped_dr6]
  show [trapped_eip]
  done
  mov dword [hooks + 4], 0

  ; local breakpoints end with a task, global ones stay
  prepare_b task_b_call
  mov eax, 0x3aa
  mov dr7, eax
  xor eax, eax
  check "DR7"
  mov eax, 0x755
  mov dr7, eax
  call 0x30:0
  mov eax, dr7
  show eax
  done
  xor eax, eax
  mov dr7, eax

  ; at privilege level 3
  prepare_b task_b_user
  mov dword [tss_b + 0x4c], UCODE
  mov dword [tss_b + 0x50], UDATA
  mov dword [tss_b + 0x54], UDATA
  mov dword [tss_b + 0x48], UDATA
  mov dword [tss_b + 0x38], user_stack_top
  mov dword [tss_b + 4], trap_stack_top
  mov dword [tss_b + 8], KDATA
  check "a task at privilege level 3"
  jmp 0x30:0
  done
  call back_to_main
  try_user "int through a task gate at 3", int 0x21
  ret

; After a fault in task B that `report` has left for good: back to the first TSS, which then counts as left.
back_to_main:
  mov byte [gdt + TSS_SELECTOR + 5], 0x89
  mov eax, TSS_SELECTOR
  ltr ax
  xor eax, eax
  lldt ax
  mov byte [gdt + 0x30 + 5], 0x89
  pushfd
  and dword [esp], ~0x4000
  popfd
  ret

note_trap:
  mov eax, dr6
  mov [trapped_dr6], eax
  mov eax, [esp + 44 + 8]
  sub eax, task_b_trap
  mov [trapped_eip], eax
  ret

task_b:
  pushfd
  show eax
  show ecx
  show edx
  show ebx
  show ebp
  show esi
  show edi
  pop eax
  show eax
  mov eax, fs
  show eax
  mov eax, gs
  show eax
  str eax
  show eax
  show_busy 0x28
  show_busy 0x30
  mov eax, cr0
  and eax, 8
  show eax
  movzx eax, word [tss_b]
  show eax
  clts
  jmp 0x28:0

task_b_call:
  pushfd
  pop eax
  and eax, 0x4000
  show eax
  movzx eax, word [tss_b]
  show eax
  show_busy 0x28
  show_busy 0x30
  iretd

task_b_fault:
  pop eax
  show eax
  mov eax, [tss + 0x20]
  sub eax, main.faulting
  show eax
  mov dword [tss + 0x28], KDATA         ; what FS gets on the second try
  iretd

task_b_never:
  say " entered"
  jmp 0x28:0

task_b_ldt:
  sldt eax
  show eax
  mov eax, [fs:header]
  show eax
  iretd

task_b_trap:
  nop
  iretd

task_b_user:
  mov eax, cs
  cmp eax, UCODE
  jne .end
  int 0x30
.end:
  hlt

bits 16
low_place equ 0x9000
task_c:
  pushfd
  pop dword [low_place + 0x100]
  mov [low_place + 0x104], eax
  mov ax, fs
  mov [low_place + 0x108], ax
  iret
task_c_end:
bits 32

task_ldt:
  dq 0
  descriptor 0, 0xfffff, 0x93, 0xc
tss_b: times 104 db 0
tss_c: times 44 db 0
saved_gate: dd 0, 0
trapped_dr6: dd 0
trapped_eip: dd 0
section .bss
  alignb 16
  resb 1024
task_stack_top:
image_end:
