; Real mode: the interrupt vector table, limits of 64 KiB, segments that protected mode left larger or smaller, A20, which
; instructions there are, single steps.
;
; The code lies at REAL and has CS = DS = SS = 0; checks are as in protected.inc, for 16-bit code.
%define IMAGE_TAIL .real16
%include "protected.inc"

REAL equ 0x8000
VECTORS16 equ 0x48
VECTOR_TABLE equ 0x7800
STACK16 equ 0x7000

main:
  mov esi, section..real16.start
  mov edi, REAL
  mov ecx, real_end - real_start
  rep movsb
  mov edi, VECTOR_TABLE
  mov eax, real_stubs
  mov ecx, VECTORS16
.vector:
  stosd
  add eax, 8
  loop .vector
  mov [saved_esp], esp
  lgdt [real_gdt_pointer]
  jmp 0x08:REAL

  align 4
saved_esp: dd 0
real_gdt_pointer:
  dw 47
  dd AT(real_gdt)
  align 8
real_gdt:
  dq 0
  descriptor 0, 0xffff, 0x9b, 0x0   ; 08 code of real mode
  descriptor 0, 0xffff, 0x93, 0x0   ; 10 data of real mode
  descriptor 0, 0xfffff, 0x93, 0x8  ; 18 data of 4 GiB
  descriptor 0, 0xfff, 0x93, 0x0    ; 20 data of 4 KiB
  descriptor 0, 0xfffff, 0x9b, 0xc  ; 28 32-bit code

; Behind real mode.
back:
  mov eax, 0x18
  mov ds, eax
  mov ss, eax
  mov esp, [saved_esp]
  lgdt [gdt_pointer]
  lidt [idt_pointer]
  mov eax, KDATA
  mov ss, eax
  call flat_segments
  ret

; --- 16-bit code

section .real16 vstart=REAL align=16
bits 16
real_start:
  mov ax, 0x10                  ; limits and sizes stay behind as they are
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov fs, ax
  mov gs, ax
  mov eax, cr0
  and al, 0xfe
  mov cr0, eax
  jmp 0:.real
.real:
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, STACK16
  lidt [vector_table_pointer]
  call real_main
  cli
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp dword 0x28:AT(back)

%macro say16 1
  call print16
  db %1, 0
%endmacro

%macro check16 1
  %push frame
  say16 %1
  mov word [cs:origin16], %$start
  mov word [cs:resume16], %$end
  mov [cs:resume_sp], sp
%$start:
%endmacro

%macro done16 0
  say16 " ok"
%$end:
  call new_line16
  %pop
%endmacro

%macro try16 2+
  check16 %1
  %2
  done16
%endmacro

%macro show_word 1
  push word %1
  call show_pushed
%endmacro

real_main:
  check16 "int"
  stc
  sti
  mov word [VECTOR_TABLE + 0x40 * 4], on_int
  int 0x40
  pushf
  cli
  pop word [scratch16]
  show_word [scratch16]
  done16
  try16 "int3", int3
  check16 "into"
  mov al, 0x7f
  inc al
  into
  done16
  check16 "divide by zero"
  xor cx, cx
  div cx
  done16
  check16 "bound"
  mov word [scratch16], 1
  mov word [scratch16 + 2], 5
  mov ax, 6
  bound ax, [scratch16]
  done16
  try16 "ud2", ud2
  try16 "lock nop", {db 0xf0, 0x90}
  check16 "fpu with TS"
  mov eax, cr0
  or al, 8
  mov cr0, eax
  fld1
  done16
  clts

  ; Limits.
  mov word [0xfffe], 0x2211
  mov bx, 0xffff
  mov ebx, 0xffff
  try16 "byte at ffff", mov al, [bx]
  try16 "word at ffff", mov ax, [bx]
  try16 "word write at ffff", mov [bx], ax
  try16 "dword at fffe", mov eax, [bx - 1]
  check16 "word at ffff by bp"
  mov bp, 0xffff
  mov ax, [bp]
  done16
  check16 "ss override"
  mov ax, [ss:bx]
  done16
  check16 "32-bit address 10000"
  mov ebx, 0x10000
  mov al, [ebx]
  done16
  check16 "32-bit address wraps not"
  mov ebx, 0xffffffff
  mov al, [ebx + 2]
  done16
  check16 "16-bit address wraps"
  mov bx, 0xfff0
  mov al, [bx + 0x20]
  done16
  check16 "lodsw at ffff"
  mov si, 0xffff
  lodsw
  done16
  check16 "rep lodsb over the end"
  mov si, 0xfffe
  mov cx, 4
  rep lodsb
  show_word si
  done16
  check16 "push at 0"
  mov bp, sp
  xor sp, sp
  push ax
  mov ax, sp
  mov sp, bp
  show_word ax
  done16
  check16 "pop at fffe"
  mov bp, sp
  mov sp, 0xfffe
  pop ax
  mov ax, sp
  mov sp, bp
  show_word ax
  done16
  check16 "32-bit push with ESP above 64 KiB"
  or esp, 0x12340000
  push eax
  pop eax
  and esp, 0xffff
  done16
  ; TCG lets them pass, and nothing goes on.
  mov eax, 0x40000000
  cpuid
  cmp ebx, 'TCGT'
  jne .beyond
  mov cx, 4
.not_tried:
  say16 `not tried\n`
  loop .not_tried
  jmp .within
.beyond:
  check16 "beyond 64 KiB: call"
  mov eax, 0x10000
  call eax
  done16
  check16 "beyond 64 KiB: ret"
  push dword 0x10000
  o32 ret
  done16
  check16 "beyond 64 KiB: iretd"
  push dword 2
  push dword 0
  push dword 0x10000
  iretd
  done16
  check16 "CR0.PG without PE"
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  done16
.within:
  check16 "jump with 16 bits wraps"
  jmp .to + 0x10000 - 0x10000
.to:
  done16
  check16 "vector beyond the table"
  lidt [short_table_pointer]
  int 0x47
  done16
  lidt [vector_table_pointer]
  check16 "15 prefixes"
  times 15 db 0x26
  nop
  done16

  ; Segments.
  check16 "segment is selector * 16"
  mov ax, 0x1000
  mov es, ax
  mov dword [es:0], 0x12345678
  xor ax, ax
  mov es, ax
  mov ebx, 0x10000
  mov ax, 0x0fff
  mov fs, ax
  show_word [fs:0x10]
  done16
  check16 "far call and return"
  call 0x0800:.far - REAL + (REAL & 0xf)
  jmp .behind
.far:
  mov ax, cs
  show_word ax
  retf
.behind:
  done16
  check16 "larger segment from protected mode"
  mov ax, 0x18
  call load_in_protected_mode
  mov ebx, 0x100000
  mov ax, [fs:ebx]
  show_word ax
  done16
  check16 "and its base by a load in real mode"
  mov ax, 0x0010
  mov fs, ax
  mov ebx, 0x100000 - 0x100
  mov ax, [fs:ebx]
  show_word ax
  done16
  check16 "smaller segment from protected mode"
  mov ax, 0x20
  call load_in_protected_mode
  mov al, [fs:0xfff]
  mov al, [fs:0x1000]
  done16
  check16 "and its base by a load in real mode"
  xor ax, ax
  mov fs, ax
  mov al, [fs:0x1000]
  done16
  mov ax, 0x10
  call load_in_protected_mode
  check16 "null selector from protected mode"
  mov ax, 0
  call load_in_protected_mode
  mov al, [fs:0]
  done16
  mov ax, 0x10
  call load_in_protected_mode

  ; A20.
  check16 "ffff:0010 with A20"
  mov ax, 0xffff
  mov fs, ax
  mov word [0], 0x5a5a
  show_word [fs:0x10]
  done16
  check16 "ffff:0010 without A20"
  in al, 0x92
  and al, 0xfc
  out 0x92, al
  mov al, 0xdd
  call keyboard_command
  mov ax, [fs:0x10]
  mov bx, [fs:0x8010]
  mov word [fs:0x12], 0xa5a5
  mov cx, [2]
  push ax
  in al, 0x92
  or al, 2
  out 0x92, al
  mov al, 0xdf
  call keyboard_command
  pop ax
  show_word ax
  cmp bx, [REAL]
  sete bl
  movzx bx, bl
  show_word bx
  show_word cx
  show_word [fs:0x12]
  done16
  xor ax, ax
  mov fs, ax

  ; Instructions.
  try16 "arpl", {arpl ax, bx}
  try16 "lldt", {lldt ax}
  try16 "ltr", {ltr ax}
  try16 "sldt", {sldt ax}
  try16 "str", {str ax}
  try16 "lar", {lar ax, bx}
  try16 "lsl", {lsl ax, bx}
  try16 "verr", {verr ax}
  try16 "smsw", {smsw ax}
  try16 "sgdt", {sgdt [scratch16]}
  try16 "syscall", syscall
  try16 "sysenter", sysenter
  try16 "sysexit", sysexit
  check16 "rdmsr"
  mov ecx, 0x10
  rdmsr
  done16
  check16 "wrmsr of what is not there"
  mov ecx, 0x12345678
  rdmsr
  done16
  try16 "invlpg", {invlpg [0]}
  check16 "IOPL and NT"
  push word 0x7002
  popf
  pushf
  pop ax
  show_word ax
  push word 2
  popf
  done16
  check16 "pushfd"
  push dword 0x3f7002
  popfd
  pushfd
  pop eax
  show_word ax
  shr eax, 16
  show_word ax
  push dword 2
  popfd
  done16
  check16 "mov cs"
  db 0x8e, 0xc8
  done16
  check16 "pusha and popa"
  mov ax, 0x1234
  pusha
  xor ax, ax
  popa
  show_word ax
  done16
  check16 "enter and leave"
  enter 8, 2
  leave
  done16
  check16 "retf n"
  push word 7
  push cs
  push word .retf_to
  retf 2
.retf_to:
  done16
  check16 "lss"
  mov word [scratch16], STACK16 - 0x100
  mov word [scratch16 + 2], 0
  mov bp, sp
  lss sp, [scratch16]
  mov ax, sp
  mov sp, bp
  show_word ax
  done16
  check16 "xlat, 32-bit string, loop"
  mov bx, .table
  mov al, 2
  xlatb
  mov esi, .table
  a32 lodsb
  mov cx, 2
.loop:
  loop .loop
  jcxz .end_of_loop
.table: db 1, 2, 3
.end_of_loop:
  done16

  ; Single steps and breakpoints.
  mov word [VECTOR_TABLE + 4], on_debug16
  check16 "trap flag"
  pushf
  pop ax
  or ah, 1
  push ax
  popf
  nop
  inc cx
  and ah, 0xfe
  push ax
  popf
  done16
  mov word [VECTOR_TABLE + 0x41 * 4], on_int
  check16 "trap flag, int"
  pushf
  pop ax
  or ah, 1
  push ax
  popf
  int 0x41
  and ah, 0xfe
  push ax
  popf
  done16
  ret

; AL: a command to the keyboard controller, when it listens.
keyboard_command:
  push ax
.busy:
  in al, 0x64
  test al, 2
  jnz .busy
  pop ax
  out 0x64, al
.taken:
  in al, 0x64
  test al, 2
  jnz .taken
  ret

; FS gets a selector in protected mode, and keeps what that loads.
load_in_protected_mode:
  mov bx, ax
  mov eax, cr0
  or al, 1
  mov cr0, eax
  mov fs, bx
  and al, 0xfe
  mov cr0, eax
  ret

on_int:
  push ax
  push bp
  mov bp, sp
  say16 " frame"
  mov ax, [bp + 4]
  sub ax, [origin16]
  show_word ax
  show_word [bp + 6]
  show_word [bp + 8]
  pushf
  pop ax
  show_word ax
  pop bp
  pop ax
  iret

on_debug16:
  push bp
  mov bp, sp
  push ax
  push edx
  say16 " !"
  mov dx, [bp + 2]
  sub dx, [origin16]
  shl edx, 24
  mov ah, 2
  call digits16
  pop edx
  pop ax
  pop bp
  iret

; Text behind the call.
print16:
  xchg si, [cs:saved_si]
  pop si
  push ax
.next:
  cs lodsb
  test al, al
  jz .end
  out 0xe9, al
  jmp .next
.end:
  pop ax
  push si
  xchg si, [cs:saved_si]
  ret

; A word on the stack, behind a space.
show_pushed:
  push bp
  mov bp, sp
  push eax
  push edx
  mov al, ' '
  out 0xe9, al
  mov dx, [bp + 4]
  shl edx, 16
  mov ah, 4
  call digits16
  pop edx
  pop eax
  pop bp
  ret 2

; AH digits from the top of EDX.
digits16:
  rol edx, 4
  mov al, dl
  and al, 15
  add al, '0'
  cmp al, '9'
  jbe .digit
  add al, 'a' - '9' - 1
.digit:
  out 0xe9, al
  dec ah
  jnz digits16
  ret

new_line16:
  push ax
  mov al, `\n`
  out 0xe9, al
  pop ax
  ret

; On the stack: vector, IP, CS, FLAGS.
real_handler:
  cld
  mov bp, sp
  xor ax, ax
  mov ds, ax
  mov es, ax
  say16 " #"
  mov edx, [bp]
  shl edx, 24
  mov ah, 2
  call digits16
  say16 "+"
  mov dx, [bp + 2]
  sub dx, [origin16]
  shl edx, 24
  mov ah, 2
  call digits16
  xor ax, ax
  mov ss, ax
  movzx esp, word [resume_sp]
  jmp [resume16]

  align 8
real_stubs:
%assign vector 0
%rep VECTORS16
  align 8, nop
  push word vector
  jmp near real_handler
  %assign vector vector + 1
%endrep
  align 4
scratch16: dd 0, 0
origin16: dw 0
resume16: dw 0
resume_sp: dw 0
saved_si: dw 0
vector_table_pointer:
  dw VECTORS16 * 4 - 1
  dd VECTOR_TABLE
short_table_pointer:
  dw 0x40 * 4 - 1
  dd VECTOR_TABLE
real_end:
section .strings
section .bss
image_end:
