; 16-bit protected mode: sizes of operands, addresses and the stack, gates of 16 bits, returns to 16-bit stacks; and SYSENTER
; and SYSEXIT outside of long mode.
%macro EXTRA_GDT 0
  descriptor 0x100000, 0xffff, 0x9b, 0x0            ; 30 16-bit code: the program
  descriptor STACKS, 0xffff, 0x93, 0x0         ; 38 16-bit stack
  descriptor 0x100000, 0xffff, 0xfb, 0x0            ; 40 16-bit code, DPL 3
  descriptor STACKS, 0xffff, 0xf3, 0x0         ; 48 16-bit stack, DPL 3
  gate CODE16, OFFSET(parameters_target), 0xe4, 2   ; 50 16-bit call gate, two words
  gate KCODE, AT(gate_target32), 0xec, 2                ; 58 32-bit call gate, two doublewords
  descriptor STACKS, 0x7fff, 0xf7, 0x0         ; 60 expand-down stack: 8000 to ffff
  gate CODE16, OFFSET(gate_target), 0xe4, 0         ; 68 16-bit call gate
%endmacro
CODE16 equ 0x30
STACKS equ 0x200000              ; behind the image
STACK16 equ 0x38
UCODE16 equ 0x43
USTACK16 equ 0x4b
%define OFFSET(label) ((label) - header)
%include "protected.inc"

; A check in 16-bit code at privilege level 3, where a fault has another stack than the 16-bit one. SP is 1000. EDI is shown
; behind it.
%macro check16 1
  %push frame
  say %1
  mov dword [origin], OFFSET(%$start)
  mov dword [resume], %$end
  mov [resume_esp], esp
  push dword USTACK16
  push dword 0x12341000
  push dword 0x2
  push dword UCODE16
  push dword OFFSET(%$start)
  push dword UDATA
  pop ds
  iretd
  bits 16
%$start:
%endmacro

; The same at privilege level 0.
%macro check_inner16 1
  %push frame
  say %1
  mov dword [origin], OFFSET(%$start)
  mov dword [resume], %$end
  mov [resume_esp], esp
  mov eax, STACK16
  mov ss, eax
  mov esp, 0x1000
  jmp CODE16:OFFSET(%$start)
  bits 16
%$start:
%endmacro

%macro done16 0
  int 0x30
  bits 32
%$end:
  show edi
  call new_line
  %pop
%endmacro

main:
  xor edi, edi
  check16 "push and pop"
  push ax
  movzx edi, sp
  pop ax
  done16
  check16 "push of 32 bits"
  push eax
  movzx edi, sp
  done16
  check16 "push wraps at 0"
  xor sp, sp
  push ax
  movzx edi, sp
  done16
  check16 "push at 1"
  mov sp, 1
  push ax
  done16
  check16 "push of 32 bits at 2"
  mov sp, 2
  push eax
  done16
  check16 "pop at ffff"
  mov sp, 0xffff
  pop ax
  done16
  check16 "the upper half of ESP stays"
  mov esp, 0xabcd1000
  push ax
  mov edi, esp
  done16
  check16 "pusha with SP = 8"
  mov sp, 8
  pusha
  movzx edi, sp
  done16
  check16 "pusha with SP = 7"
  mov sp, 7
  pusha
  done16
  check16 "pop sp"
  push word 0x800
  pop sp
  movzx edi, sp
  done16
  check16 "push sp"
  push sp
  pop di
  done16
  check16 "enter, nested"
  mov bp, 0xf00
  mov [ss:bp - 2], bp
  enter 6, 2
  mov di, sp
  leave
  done16
  check16 "leave with EBP above 64 KiB"
  mov ebp, 0x12340ff0
  leave
  movzx edi, sp
  done16
  check16 "bp in the stack segment wraps"
  mov bp, 0xfff0
  mov word [bp + 0x20], 0x4321
  mov di, [ss:0x10]
  done16
  check16 "ebp with 32 bits beyond the limit"
  mov ebp, 0x10000
  mov al, [ebp]
  done16
  check16 "esp as a base"
  mov esp, 0x12341000
  mov al, [esp]
  done16
  check16 "si wraps"
  mov si, 0xffff
  lodsb
  movzx edi, si
  done16
  check16 "esi with a 32-bit address"
  mov esi, 0xffff
  a32 lodsb
  mov edi, esi
  done16
  check16 "loop with cx"
  mov ecx, 0xffff0002
.loop1:
  loop .loop1
  mov edi, ecx
  done16
  check16 "loop with ecx"
  mov ecx, 2
.loop2:
  a32 loop .loop2
  mov edi, ecx
  done16
  check16 "jcxz"
  mov ecx, 0x10000
  jcxz .zero
  ud2
.zero:
  a32 jecxz .not_zero
  done16
.not_zero:
  check16 "call and ret of 16 bits"
  call .sub1
  jmp .behind1
.sub1:
  mov di, sp
  ret
.behind1:
  done16
  check16 "call and ret of 32 bits"
  call dword .sub2
  jmp .behind2
.sub2:
  mov di, sp
  o32 ret
.behind2:
  done16
  check16 "far call of 16 bits"
  call UCODE16:OFFSET(.far1)
  jmp .behind3
.far1:
  mov di, sp
  retf
.behind3:
  done16
  check16 "far call of 32 bits"
  o32 call dword UCODE16:OFFSET(.far2)
  jmp .behind4
.far2:
  mov di, sp
  o32 retf
.behind4:
  done16
  check16 "ret beyond the limit"
  push dword 0x10000
  o32 ret
  done16
  check16 "ret of 16 bits takes 16"
  push word .to - header
  ret
.to:
  done16
  check_inner16 "call to 32-bit code"
  call dword KCODE:.code32
  bits 32
.code32:
  mov edi, esp
  int 0x30
  bits 16
  done16
  check16 "pushf"
  pushf
  mov di, sp
  done16

  ; Gates of 16 bits.
  mov word [idt + 0x20 * 8], OFFSET(handler16)
  mov word [idt + 0x20 * 8 + 2], CODE16
  mov word [idt + 0x20 * 8 + 4], 0xe600
  mov word [idt + 0x20 * 8 + 6], 0
  check_inner16 "int through a 16-bit gate"
  int 0x20
  done16
  mov eax, [idt + 13 * 8]
  mov [scratch], eax
  mov eax, [idt + 13 * 8 + 4]
  mov [scratch + 4], eax
  mov word [idt + 13 * 8], OFFSET(fault_handler16)
  mov word [idt + 13 * 8 + 2], CODE16
  mov word [idt + 13 * 8 + 4], 0x8600
  mov word [idt + 13 * 8 + 6], 0
  check_inner16 "#GP through a 16-bit gate"
  mov ax, 0xfff8
  mov fs, ax
  done16
  mov eax, [scratch]
  mov [idt + 13 * 8], eax
  mov eax, [scratch + 4]
  mov [idt + 13 * 8 + 4], eax
  mov word [idt + 0x20 * 8 + 4], 0xe500
  try "task gate to nothing", {int 0x20}

  check16 "SP behind a return to a 16-bit stack"
  movzx edi, sp
  done16
  check16 "call gate of 16 bits with two words"
  push word 0x1111
  push word 0x2222
  call 0x53:0
  mov edi, esi
  done16
  check16 "call gate of 32 bits with two doublewords"
  push dword 0x11111111
  push dword 0x22222222
  call 0x5b:0
  movzx edi, sp
  done16
  check_inner16 "call gate of 16 bits, same level"
  call 0x68:0
  movzx edi, sp
  done16
  check16 "expand-down 16-bit stack"
  mov ax, 0x63
  mov ss, ax
  mov sp, 0x8002
  push ax
  push ax
  done16

  ; SYSENTER and SYSEXIT.
  mov ecx, 0x174
  xor eax, eax
  xor edx, edx
  wrmsr
  try "sysenter, CS 0", sysenter
  try "sysexit, CS 0", sysexit
  mov ecx, 0x174
  mov eax, KCODE
  xor edx, edx
  wrmsr
  mov ecx, 0x175
  mov eax, trap_stack_top
  wrmsr
  mov ecx, 0x176
  mov eax, on_sysenter
  wrmsr
  check_user_with_flags "sysenter", 0x3ed7
  sysenter
  done_user
  check "sysexit"
  mov edx, .user
  mov ecx, user_stack_top - 16
  sysexit
.user:
  mov eax, cs
  mov ebx, ss
  mov edi, esp
  sub edi, user_stack_top
  int 0x30
  done
  show edi
  call new_line
  try_user "sysexit at 3", sysexit
  try "syscall", syscall
  ret

on_sysenter:
  pushfd
  pop eax
  cld
  mov ebx, ss
  mov ecx, cs
  mov edx, esp
  sub edx, trap_stack_top
  say " flags, cs, ss, esp"
  show eax
  show16 ecx
  show16 ebx
  show edx
  call put_ok
  mov eax, KDATA
  mov ss, eax
  mov esp, [resume_esp]
  call flat_segments
  jmp [resume]

gate_target32:
  mov edi, [esp + 8]
  mov esi, [esp + 12]
  push dword KDATA
  pop ds
  say " in the target"
  show edi
  show esi
  show16 dword [esp + 4]
  show16 dword [esp + 20]
  push dword UDATA
  pop ds
  retf 8

  bits 16
; Shows the words of the frame: IP from the check's start, CS, FLAGS.
handler16:
  push bp
  mov bp, sp
  push eax
  movzx eax, word [bp + 2]
  jmp dword KCODE:handler16_in_32
  bits 32
handler16_in_32:
  push dword KDATA
  pop ds
  sub eax, [origin]
  show16 eax
  movzx ebp, bp
  movzx eax, word [ss:ebp + 4]
  show16 eax
  movzx eax, word [ss:ebp + 6]
  show16 eax
  jmp CODE16:OFFSET(.narrow)
  bits 16
.narrow:
  pop eax
  pop bp
  iret

fault_handler16:
  mov bp, sp
  movzx edi, word [bp]
  shl edi, 16
  mov di, [bp + 2]
  int 0x30

; The parameters of a call gate.
parameters_target:
  mov ebp, esp                  ; the inner stack is a 32-bit one
  mov si, [ebp + 4]
  shl esi, 16
  mov si, [ebp + 6]
  retf 4

gate_target:
  retf
  bits 32

  align 8
scratch: dd 0, 0
  times 16 dd 0
section .bss
image_end:
