%include "protected.inc"
main:
  try "nop", nop
  try "ud2", ud2
  xor eax, eax
  try "divide by zero", div eax
  try "null in fs", {mov fs, ax}
  try "load through null fs", {mov ecx, [fs:0]}
  try "gdt beyond its limit", {mov eax, 0xfff8}
  mov eax, 0xfff8
  try "selector beyond limit", {mov fs, ax}
  try_user "hlt at 3", hlt
  try_user "nop at 3", nop
  ret
section .bss
image_end:
