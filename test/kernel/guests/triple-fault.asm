; A fault that cannot be delivered, nor the one behind it, nor the double fault: the processor shuts down.
%include "long.inc"

main:
  say `no way out\n`
  lidt [no_idt]
  ud2

no_idt:
  dw 0
  dq 0
section .bss
image_end:
