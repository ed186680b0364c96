; Protection keys, process-context identifiers, INVPCID, MONITOR and MWAIT, in 64-bit mode.
%include "long.inc"

PAGE equ TEST_AREA + AT(test_page)
LEAF equ test_table + ((AT(test_page) >> 12) & 511) * 8
KEY equ 5

%macro set_cr4 1
  mov rax, cr4
  bts rax, %1
  mov cr4, rax
%endmacro
%macro clear_cr4 1
  mov rax, cr4
  btr rax, %1
  mov cr4, rax
%endmacro
PCIDE equ 17
OSXSAVE equ 18
PKE equ 22

%macro set_keys 1
  mov eax, %1
  xor ecx, ecx
  xor edx, edx
  wrpkru
%endmacro

; Lines of probes for what a key denies: nothing, access, writes, both.
%macro probe_keys 2             ; name, the page's entry
  mov rax, %2
  mov [LEAF], rax
  invlpg [r12]
  %assign %%denied 0
  %rep 4
    say %1
    set_keys %%denied << (2 * KEY)
    show16 qword %%denied
    mov edi, PAGE
    call probe_page
    call new_line
    %assign %%denied %%denied + 1
  %endrep
  set_keys 0
%endmacro

%macro invalidate 3             ; type, identifier, address
  mov qword [descriptor_of_context], %2
  mov rax, %3
  mov [descriptor_of_context + 8], rax
  mov eax, %1
  invpcid rax, [descriptor_of_context]
%endmacro

main:
  mov r12d, PAGE
  mov qword [pointers + 16], test_directory + 7
  mov qword [test_directory], test_table + 7
  check "rdpkru without PKE"
  xor ecx, ecx
  rdpkru
  done
  set_cr4 PKE
  check "OSPKE"
  mov eax, 7
  xor ecx, ecx
  cpuid
  shr ecx, 3
  and ecx, 3
  show rcx
  done
  check "rdpkru"
  set_keys 0x12345678
  mov edx, -1
  xor ecx, ecx
  rdpkru
  show rax
  show rdx
  set_keys 0
  done
  check "rdpkru, ecx not 0"
  mov ecx, 1
  rdpkru
  done
  check "wrpkru, ecx not 0"
  mov ecx, 1
  xor edx, edx
  wrpkru
  done
  check "wrpkru, edx not 0"
  xor ecx, ecx
  mov edx, 1
  wrpkru
  done
  check_user "wrpkru at 3"
  xor eax, eax
  xor ecx, ecx
  xor edx, edx
  wrpkru
  done_user

  probe_keys "user page", AT(test_page) + 7 + (KEY << 59)
  probe_keys "read-only user page", AT(test_page) + 5 + (KEY << 59)
  probe_keys "supervisor page", AT(test_page) + 3 + (KEY << 59)
  probe_keys "another key", AT(test_page) + 7 + ((KEY + 1) << 59)
  probe_keys "not present", AT(test_page) + 6 + (KEY << 59)
  mov rax, cr0
  btr rax, 16
  mov cr0, rax
  probe_keys "user page, no wp", AT(test_page) + 7 + (KEY << 59)
  mov rax, cr0
  bts rax, 16
  mov cr0, rax
  set_cr4 21
  probe_keys "user page, smap", AT(test_page) + 7 + (KEY << 59)
  mov byte [with_ac], 1
  probe_keys "user page, smap, ac", AT(test_page) + 7 + (KEY << 59)
  mov byte [with_ac], 0
  clear_cr4 21
  mov rax, 0x87 + (KEY << 59)
  mov [test_directory], rax
  mov rax, cr3
  mov cr3, rax
  probe_keys "2 MiB page", AT(test_page) + 7
  mov qword [test_directory], test_table + 7
  mov rax, cr3
  mov cr3, rax
  mov rax, AT(test_page) + 7 + (KEY << 59)
  mov [LEAF], rax
  set_keys 3 << (2 * KEY)
  check "code that may not be read, run and then read"
  mov eax, PAGE
  call rax
  mov al, [r12]
  done
  clear_cr4 PKE
  try "without PKE keys deny nothing", mov al, [r12]
  set_cr4 PKE
  try "with PKE again", mov al, [r12]
  set_keys 0

  ; XSAVE.
  set_cr4 OSXSAVE
  check "xsave, xrstor of PKRU"
  xor ecx, ecx
  xor edx, edx
  mov eax, 0x203
  xsetbv
  set_keys 0x40
  mov eax, 0xd
  mov ecx, 9
  cpuid
  mov r14, rbx                  ; where its component lies
  show rax
  mov eax, 0x200
  xor edx, edx
  xsave [area]
  show16 qword [area + 512]
  show qword [area + r14]
  set_keys 0x80
  mov eax, 0x200
  xor edx, edx
  xrstor [area]
  xor ecx, ecx
  rdpkru
  show rax
  mov qword [area + 512], 0
  mov eax, 0x200
  xor edx, edx
  xrstor [area]
  xor ecx, ecx
  rdpkru
  show rax
  done
  check "xrstor takes rights away"
  mov eax, 0x200
  xor edx, edx
  mov qword [area + 512], 0x200
  mov qword [area + r14], 3 << (2 * KEY)
  mov bl, [r12]
  xrstor [area]
  mov bl, [r12]
  done
  set_keys 0
  clear_cr4 PKE

  ; PCID.
  call find_tcg
  jne .pcid
  mov ecx, 19
.not_tried:
  say `no PCID: not tried\n`
  dec ecx
  jnz .not_tried
  jmp .no_pcid
.pcid:
  try "invpcid, type 4", {invalidate 4, 0, 0}
  try "invpcid, identifier without PCIDE", {invalidate 0, 1, 0}
  try "invpcid, identifier without PCIDE, type 2", {invalidate 2, 1, 0}
  try "invpcid, reserved bit", {invalidate 0, 0x1000, 0}
  try "invpcid, address not canonical", {invalidate 0, 0, 0x800000000000}
  try "invpcid, address not canonical, type 1", {invalidate 1, 0, 0x800000000000}
  try_user "invpcid at 3", {invpcid rax, [rsp - 16]}
  check "invpcid, descriptor not mapped"
  mov rdi, 0x200000000
  xor eax, eax
  invpcid rax, [rdi]
  done
  mov eax, tables + 1
  mov cr3, rax
  check "PCIDE with an identifier in CR3"
  set_cr4 PCIDE
  done
  mov eax, tables
  mov cr3, rax
  try "PCIDE", {set_cr4 PCIDE}
  check "identifier in CR3"
  mov eax, tables + 0x123
  mov cr3, rax
  mov rax, cr3
  sub rax, tables
  show rax
  done
  check "bit 63 does not stay"
  mov eax, tables + 0x123
  bts rax, 63
  mov cr3, rax
  mov rax, cr3
  sub rax, tables
  show64 rax
  done
  check "bit 62"
  mov eax, tables + 0x123
  bts rax, 62
  mov cr3, rax
  done
  %assign type 0
  %rep 4
    check "another frame, invpcid"
    mov qword [LEAF], AT(test_page) + 7
    invlpg [r12]
    show qword [r12 + 40]
    mov qword [LEAF], AT(other_page) + 7
    invalidate type, 0x123, PAGE
    show qword [r12 + 40]
    done
    %assign type type + 1
  %endrep
  check "another address space, kept"
  mov qword [LEAF], AT(test_page) + 7
  invlpg [r12]
  show qword [r12 + 40]
  mov qword [other_tables], other_pointers + 7
  mov qword [other_pointers], directory + 7
  mov qword [other_pointers + 8], user_directory + 7
  mov qword [other_pointers + 16], other_directory + 7
  mov qword [other_directory], other_table + 7
  mov qword [other_table + LEAF - test_table], AT(other_page) + 7
  mov eax, other_tables + 0x124
  bts rax, 63
  mov cr3, rax
  show qword [r12 + 40]
  mov eax, tables + 0x123
  bts rax, 63
  mov cr3, rax
  show qword [r12 + 40]
  done
  mov eax, tables
  mov cr3, rax
  try "PCIDE off", {clear_cr4 PCIDE}
.no_pcid:

  ; MONITOR and MWAIT.
  check "monitor and mwait with an extension"
  mov eax, area
  xor ecx, ecx
  xor edx, edx
  monitor
  mov ecx, 2
  mwait
  done
  check "monitor with an extension"
  mov eax, area
  mov ecx, 1
  xor edx, edx
  monitor
  done
  check "monitor of what is not mapped"
  mov rax, 0x200000000
  xor ecx, ecx
  monitor
  done
  check_user "monitor at 3"
  mov eax, USER(area)
  xor ecx, ecx
  monitor
  done_user
  try_user "mwait at 3", mwait
  ret

; ZF: QEMU's TCG says by CPUID that it is the hypervisor. It has no PCID.
find_tcg:
  mov eax, 0x40000000
  cpuid
  cmp ebx, 'TCGT'
  ret

%include "page-probes.inc"
other_page:
  times 40 db 0
  dd 0x22222222
  times 4096 - 44 db 0
  align 16
descriptor_of_context: dq 0, 0
section .bss
  alignb 4096
test_directory: resb 4096
test_table: resb 4096
other_tables: resb 4096
other_pointers: resb 4096
other_directory: resb 4096
other_table: resb 4096
area: resb 4096
image_end:
