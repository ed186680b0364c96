; SYSCALL, SYSRET, SYSENTER and SYSEXIT in 64-bit and compatibility mode, SWAPGS, and what each refuses.
;
; A system call's handler prints selectors, RFLAGS, RCX and R11 as they arrive.
%include "long.inc"

STAR equ 0xc0000081
LSTAR equ 0xc0000082
CSTAR equ 0xc0000083
FMASK equ 0xc0000084
EFER equ 0xc0000080
GS_BASE equ 0xc0000101
KERNEL_GS_BASE equ 0xc0000102
SYSENTER_CS equ 0x174
SYSENTER_ESP equ 0x175
SYSENTER_EIP equ 0x176

%macro write_msr 2              ; index, value
  mov ecx, %1
  mov rax, %2
  mov rdx, rax
  shr rdx, 32
  wrmsr
%endmacro

; Prints a register without losing another.
%macro show_kept 1
  mov [shown], %1
  show qword [shown]
%endmacro

; At privilege level 3, which cannot print.
%macro note_user_state 0
  mov r8d, cs
  mov r9d, ss
  mov r11, rsp
  pushfq
  pop r10
%endmacro

main:
  try "syscall without SCE", {syscall}
  try "sysret without SCE", {o64 sysret}
  write_msr EFER, 0x901
  write_msr STAR, (UCODE32 << 48) | (KCODE << 32)
  write_msr LSTAR, on_syscall
  write_msr CSTAR, on_compatible_syscall
  write_msr FMASK, 0x40700      ; AC, DF, IF, TF
  check_user_with_flags "syscall", 0x40ed7
  mov ecx, 0x12345678
  syscall
  done_user
  check_user_with_flags "syscall with a mask of all", 0x8d7
  syscall
  nop
  done_user
  write_msr FMASK, 0xffffffff
  check_user_with_flags "syscall, FMASK ffffffff", 0x8d7
  syscall
  done_user
  write_msr FMASK, 0
  check "syscall from the supervisor"
  syscall
  done
  check_user_compatible "syscall in compatibility mode"
  syscall
  done_compatible

  ; SYSRET.
  check "sysret to 64-bit code"
  mov rcx, USER(.user1)
  mov r11, 0x8d6 | 0x10000 | 1 << 17 | 1 << 14
  mov rsp, USER(user_stack_top)
  o64 sysret
.user1:
  note_user_state
  int 0x30
  done
  call show_user_state
  check "sysret to 32-bit code"
  mov rcx, 0xffff0000_00000000 + USER(AT(.user2))
  mov r11, 0x2
  sysret
  bits 32
.user2:
  int 0x2f                      ; #GP at privilege level 3 shows where
  bits 64
  done
  check "sysret, RIP not canonical"
  mov rcx, 0x800000000000
  mov r11d, 2
  o64 sysret
  done
  check "sysret to 32-bit code, upper half ignored"
  mov rcx, 0x800000000000 + USER(AT(.user3))
  mov r11d, 2
  sysret
  bits 32
.user3:
  int 0x2f
  bits 64
  done
  try_user "sysret from a user", {o64 sysret}
  check_compatible "sysret in compatibility mode"
  sysret
  done_compatible
  write_msr STAR, ((0x60 << 48) | (0x63 << 32))
  check "sysret, selectors from STAR, not from a table"
  mov rcx, USER(.user4)
  mov r11d, 0x2
  o64 sysret
.user4:
  mov eax, ss
  mov ebx, cs
  int 0x2f
  done
  show16 rax
  show16 rbx
  call new_line
  check_user "syscall, selectors from STAR"
  syscall
  done_user
  write_msr STAR, (UCODE32 << 48) | (KCODE << 32)

  ; SYSENTER and SYSEXIT.
  write_msr SYSENTER_CS, 0
  try_user "sysenter, CS 0", {sysenter}
  try "sysexit, CS 0", {o64 sysexit}
  write_msr SYSENTER_CS, 3
  try "sysexit, CS 3", {o64 sysexit}
  write_msr SYSENTER_CS, KCODE | 3
  write_msr SYSENTER_ESP, sysenter_stack_top
  write_msr SYSENTER_EIP, on_sysenter
  check_user_with_flags "sysenter", 0x40ed7
  sysenter
  done_user
  check "sysenter from the supervisor"
  sysenter
  done
  check_user_compatible "sysenter in compatibility mode"
  sysenter
  done_compatible
  try_user "sysexit from a user", {o64 sysexit}
  check "sysexit to 64-bit code"
  mov rdx, USER(.user5)
  mov rcx, USER(user_stack_top)
  o64 sysexit
.user5:
  note_user_state
  int 0x30
  done
  call show_user_state
  check "sysexit to 32-bit code"
  mov edx, USER(AT(.user6))
  mov ecx, 0x7777
  sysexit
  bits 32
.user6:
  int 0x2f
  bits 64
  done
  check "sysexit, RIP not canonical"
  mov rdx, 0x800000000000
  mov rcx, USER(user_stack_top)
  o64 sysexit
  done
  check "sysexit, RSP not canonical"
  mov rdx, USER(.user7)
  mov rcx, 0x800000000000
  o64 sysexit
.user7:
  done
  write_msr SYSENTER_CS, KCODE
  mov ecx, SYSENTER_EIP
  mov edx, 0x8000
  try "SYSENTER_EIP not canonical", wrmsr
  mov ecx, SYSENTER_ESP
  mov edx, 0x8000
  try "SYSENTER_ESP not canonical", wrmsr
  mov ecx, LSTAR
  mov edx, 0x8000
  try "LSTAR not canonical", wrmsr
  mov ecx, CSTAR
  mov edx, 0x8000
  try "CSTAR not canonical", wrmsr
  mov ecx, FMASK
  mov edx, 1
  try "FMASK beyond 32 bits", wrmsr

  ; SWAPGS.
  write_msr GS_BASE, 0x1111111122222222 & 0x00007fffffffffff
  write_msr KERNEL_GS_BASE, user_stack_top
  check "swapgs"
  swapgs
  mov ecx, GS_BASE
  rdmsr
  show rax
  mov ecx, KERNEL_GS_BASE
  rdmsr
  show rdx
  show rax
  swapgs
  done
  try_user "swapgs as a user", {swapgs}
  check_compatible "swapgs in compatibility mode"
  db 0x0f, 0x01, 0xf8
  done_compatible
  check "a selector in GS clears its base"
  mov eax, KDATA
  mov gs, eax
  mov ecx, GS_BASE
  rdmsr
  show rdx
  show rax
  done

  ; In the shadow of flags.
  mov qword [hooks + 8], on_debug
  write_msr LSTAR, on_syscall
  write_msr FMASK, 0x100
  check_user_with_flags "syscall under TF, masked", 0x102
  syscall
  nop
  done_user
  write_msr FMASK, 0
  check_user_with_flags "syscall under TF, not masked", 0x102
  syscall
  nop
  done_user
  check "sysret with TF"
  mov rcx, USER(.user8)
  mov r11d, 0x102
  o64 sysret
.user8:
  nop
  nop
  int 0x30
  done
  ret

show_user_state:
  say "cs, ss, flags, rsp"
  show16 r8
  show16 r9
  show r10
  sub r11, USER(user_stack_top)
  show r11
  jmp new_line

on_syscall:
  mov [saved_rsp], rsp
  mov rsp, sysenter_stack_top
  call show_entry
  mov rsp, [saved_rsp]
  o64 sysret

on_compatible_syscall:
  mov [saved_rsp], rsp
  mov rsp, sysenter_stack_top
  say " CSTAR"
  call show_entry
  mov rsp, [saved_rsp]
  sysret

on_sysenter:
  pushfq
  pop qword [saved_flags]
  cld
  mov [shown], rsp
  say " flags"
  show qword [saved_flags]
  say " rsp"
  show qword [shown]
  call show_entry
  mov eax, KDATA
  mov ss, eax
  mov rsp, [resume_rsp]
  call put_ok
  jmp [resume]

; Flags first, as the calls change them.
show_entry:
  pushfq
  pop qword [saved_flags]
  push rax
  mov eax, cs
  show16 rax
  mov eax, ss
  show16 rax
  show qword [saved_flags]
  show_kept r11
  mov rax, rcx
  sub rax, [origin]
  show rax
  pop rax
  ret

on_debug:
  say " !"
  mov rdx, [rbp + FRAME_RIP]
  sub rdx, on_syscall
  cmp rdx, 0x1000
  jb .print
  mov rdx, [rbp + FRAME_RIP]
  sub rdx, [origin]
  sub rdx, USER_ALIAS
.print:
  shl rdx, 56
  mov ecx, 2
  call put_digits
  mov rax, dr6
  show16 rax
  mov eax, 0xffff0ff0
  mov dr6, rax
  test byte [rbp + FRAME_CS], 3
  jnz .end
  and qword [rbp + FRAME_RFLAGS], ~0x100
.end:
  ret

  align 8
shown: dq 0
saved_rsp: dq 0
saved_flags: dq 0
section .bss
  resb 4096
sysenter_stack_top:
image_end:
