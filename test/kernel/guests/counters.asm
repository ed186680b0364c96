; Performance counters: how many instructions they count, in straight code, loops, strings, system calls and interrupts.
%include "long.inc"

PERFEVTSEL0 equ 0x186
FIXED_CTR0 equ 0x309
FIXED_CTR_CTRL equ 0x38d
GLOBAL_STATUS equ 0x38e
GLOBAL_CTRL equ 0x38f
PMC0 equ 0xc1
FIXED equ 1 << 30

%macro write_msr 2
  mov ecx, %1
  mov eax, %2
  xor edx, edx
  wrmsr
%endmacro

; Prints how many instructions lie between the two RDPMC, the first one and what stands before the second included.
%macro count 2
  say %1
  mov ecx, %2
  rdpmc
  mov r14d, eax
%endmacro
%macro counted 1
  mov ecx, %1
  rdpmc
  sub eax, r14d
  show rax
  call new_line
%endmacro

main:
  check "cpuid leaf a"
  mov eax, 0xa
  xor ecx, ecx
  cpuid
  show rax
  show rbx
  show rdx
  done
  check "rdpmc of counter 2"
  mov ecx, 2
  rdpmc
  done
  check "rdpmc of fixed counter 3"
  mov ecx, FIXED + 3
  rdpmc
  done
  check_user "rdpmc at 3 without PCE"
  xor ecx, ecx
  rdpmc
  done_user
  check "a bit of PERFEVTSEL0 that is not there"
  mov ecx, PERFEVTSEL0
  xor eax, eax
  mov edx, 1
  wrmsr
  done
  check "write of the status"
  write_msr GLOBAL_STATUS, 1
  done
  check "counters keep what is written"
  write_msr PMC0, 0x8000abcd
  rdmsr
  show rdx
  show rax
  write_msr FIXED_CTR0, 0x1234
  rdmsr
  show rax
  done
  write_msr FIXED_CTR_CTRL, 0x333
  count "not enabled", FIXED
  nop
  nop
  counted FIXED
  mov ecx, GLOBAL_CTRL
  mov eax, 3
  mov edx, 7
  wrmsr
  count "nothing between", FIXED
  counted FIXED
  count "three", FIXED
  nop
  nop
  nop
  counted FIXED
  count "a loop", FIXED
  mov ecx, 1000
.loop:
  dec ecx
  jnz .loop
  counted FIXED
  count "a hot loop", FIXED
  mov ecx, 300000
.hot:
  dec ecx
  jnz .hot
  counted FIXED
  count "calls", FIXED
  call .subroutine
  call .subroutine
  counted FIXED
  count "rep movsb", FIXED
  mov esi, header
  mov edi, tss + 104
  mov ecx, 100
  rep movsb
  counted FIXED
  count "core cycles", FIXED + 1
  nop
  nop
  counted FIXED + 1
  write_msr PERFEVTSEL0, 0x4300c0
  count "event: instructions", 0
  nop
  nop
  counted 0
  write_msr PERFEVTSEL0, 0x43003c
  count "event: cycles", 0
  nop
  nop
  counted 0
  write_msr PERFEVTSEL0, 0x4300c4
  count "event: branches, which are not counted", 0
  jmp .next
.next:
  counted 0
  write_msr PERFEVTSEL0, 0x0300c0
  count "event, not enabled", 0
  nop
  counted 0
  mov rax, cr4
  bts rax, 8
  mov cr4, rax
  check_user "rdpmc at 3 with PCE"
  mov ecx, FIXED
  rdpmc
  mov r13d, eax
  nop
  nop
  mov ecx, FIXED
  rdpmc
  sub eax, r13d
  mov r13d, eax
  done_user
  say "counted at 3"
  show r13
  call new_line
  ret

.subroutine:
  nop
  ret
section .bss
image_end:
