// Executes one SSE scalar instruction on many operands with random MXCSR values and writes what the processor did.
// Usage: sse <operation> <seed> <count>; records of 40 bytes on the standard output.
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include "operands.h"

struct record {
  uint64_t a, b, result;
  uint32_t mxcsr_in, mxcsr_out;
  uint32_t flags, faulted;
};

static sigjmp_buf escape;
static volatile uint32_t mxcsr_at_fault;

static void on_fault(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  mxcsr_at_fault = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(escape, 1);
}

#define BINARY(insn) \
  __asm__ volatile("ldmxcsr %1\n movq %3, %%xmm0\n movq %4, %%xmm1\n" insn " %%xmm1, %%xmm0\n stmxcsr %0\n movq %%xmm0, %2\n" \
                   : "=m"(r->mxcsr_out) : "m"(r->mxcsr_in), "m"(r->result), "m"(r->a), "m"(r->b) : "xmm0", "xmm1", "memory")
// Lane 1 has the operands exchanged.
#define PACKED(insn) \
  __asm__ volatile("ldmxcsr %1\n movq %3, %%xmm0\n movq %4, %%xmm1\n movhps %4, %%xmm0\n movhps %3, %%xmm1\n" insn " %%xmm1, %%xmm0\n stmxcsr %0\n movq %%xmm0, %2\n" \
                   : "=m"(r->mxcsr_out) : "m"(r->mxcsr_in), "m"(r->result), "m"(r->a), "m"(r->b) : "xmm0", "xmm1", "memory")
#define UNARY(insn) \
  __asm__ volatile("ldmxcsr %1\n movq %3, %%xmm1\n pxor %%xmm0, %%xmm0\n" insn " %%xmm1, %%xmm0\n stmxcsr %0\n movq %%xmm0, %2\n" \
                   : "=m"(r->mxcsr_out) : "m"(r->mxcsr_in), "m"(r->result), "m"(r->a) : "xmm0", "xmm1", "memory")
#define FROM_INTEGER(insn) \
  __asm__ volatile("ldmxcsr %1\n pxor %%xmm0, %%xmm0\n" insn " %3, %%xmm0\n stmxcsr %0\n movq %%xmm0, %2\n" \
                   : "=m"(r->mxcsr_out) : "m"(r->mxcsr_in), "m"(r->result), "m"(r->a) : "xmm0", "memory")
#define TO_INTEGER(insn, reg) \
  __asm__ volatile("ldmxcsr %1\n movq %3, %%xmm1\n xorl %%eax, %%eax\n" insn " %%xmm1, %%" reg "\n stmxcsr %0\n movq %%rax, %2\n" \
                   : "=m"(r->mxcsr_out) : "m"(r->mxcsr_in), "m"(r->result), "m"(r->a) : "rax", "xmm1", "memory")
#define FLAGS(insn) \
  do { uint64_t flags; __asm__ volatile("ldmxcsr %1\n movq %3, %%xmm0\n movq %4, %%xmm1\n" insn " %%xmm1, %%xmm0\n pushfq\n popq %2\n stmxcsr %0\n" \
                   : "=m"(r->mxcsr_out) : "m"(r->mxcsr_in), "m"(flags), "m"(r->a), "m"(r->b) : "xmm0", "xmm1", "memory", "cc"); r->flags = flags & 0x8d5; } while (0)

enum { SINGLE, DOUBLE, INTEGER32, INTEGER64 };
#define OPERATION(name, kind, code) static void do_##name(struct record *r) { code; }
#define LIST \
  X(f32Add, SINGLE, BINARY("addss")) X(f32Sub, SINGLE, BINARY("subss")) X(f32Mul, SINGLE, BINARY("mulss")) X(f32Div, SINGLE, BINARY("divss")) \
  X(f32Min, SINGLE, BINARY("minss")) X(f32Max, SINGLE, BINARY("maxss")) X(f32Sqrt, SINGLE, UNARY("sqrtss")) \
  X(f64Add, DOUBLE, BINARY("addsd")) X(f64Sub, DOUBLE, BINARY("subsd")) X(f64Mul, DOUBLE, BINARY("mulsd")) X(f64Div, DOUBLE, BINARY("divsd")) \
  X(f64Min, DOUBLE, BINARY("minsd")) X(f64Max, DOUBLE, BINARY("maxsd")) X(f64Sqrt, DOUBLE, UNARY("sqrtsd")) \
  X(f32Compare0, SINGLE, BINARY("cmpeqss")) X(f32Compare1, SINGLE, BINARY("cmpltss")) X(f32Compare2, SINGLE, BINARY("cmpless")) X(f32Compare3, SINGLE, BINARY("cmpunordss")) \
  X(f32Compare4, SINGLE, BINARY("cmpneqss")) X(f32Compare5, SINGLE, BINARY("cmpnltss")) X(f32Compare6, SINGLE, BINARY("cmpnless")) X(f32Compare7, SINGLE, BINARY("cmpordss")) \
  X(f64Compare0, DOUBLE, BINARY("cmpeqsd")) X(f64Compare1, DOUBLE, BINARY("cmpltsd")) X(f64Compare2, DOUBLE, BINARY("cmplesd")) X(f64Compare3, DOUBLE, BINARY("cmpunordsd")) \
  X(f64Compare4, DOUBLE, BINARY("cmpneqsd")) X(f64Compare5, DOUBLE, BINARY("cmpnltsd")) X(f64Compare6, DOUBLE, BINARY("cmpnlesd")) X(f64Compare7, DOUBLE, BINARY("cmpordsd")) \
  X(f32CompareFlags0, SINGLE, FLAGS("ucomiss")) X(f32CompareFlags1, SINGLE, FLAGS("comiss")) X(f64CompareFlags0, DOUBLE, FLAGS("ucomisd")) X(f64CompareFlags1, DOUBLE, FLAGS("comisd")) \
  X(i32ToF32, INTEGER32, FROM_INTEGER("cvtsi2ssl")) X(i64ToF32, INTEGER64, FROM_INTEGER("cvtsi2ssq")) \
  X(i32ToF64, INTEGER32, FROM_INTEGER("cvtsi2sdl")) X(i64ToF64, INTEGER64, FROM_INTEGER("cvtsi2sdq")) \
  X(f32ToF64, SINGLE, UNARY("cvtss2sd")) X(f64ToF32, DOUBLE, UNARY("cvtsd2ss")) \
  X(f32ToI32_0, SINGLE, TO_INTEGER("cvtss2si", "eax")) X(f32ToI32_1, SINGLE, TO_INTEGER("cvttss2si", "eax")) \
  X(f32ToI64_0, SINGLE, TO_INTEGER("cvtss2si", "rax")) X(f32ToI64_1, SINGLE, TO_INTEGER("cvttss2si", "rax")) \
  X(f64ToI32_0, DOUBLE, TO_INTEGER("cvtsd2si", "eax")) X(f64ToI32_1, DOUBLE, TO_INTEGER("cvttsd2si", "eax")) \
  X(f64ToI64_0, DOUBLE, TO_INTEGER("cvtsd2si", "rax")) X(f64ToI64_1, DOUBLE, TO_INTEGER("cvttsd2si", "rax")) \
  X(f32RcpApprox, SINGLE, UNARY("rcpss")) X(f32RsqrtApprox, SINGLE, UNARY("rsqrtss")) \
  X(packedDivide, DOUBLE, PACKED("divpd")) X(packedAdd, DOUBLE, PACKED("addpd"))

#define X OPERATION
LIST
#undef X

static const struct { const char *name; int kind; void (*execute)(struct record *); } operations[] = {
#define X(name, kind, code) {#name, kind, do_##name},
  LIST
};

static uint64_t operand(int kind) {
  switch (kind) {
    case SINGLE: return random_binary(23, 8);
    case DOUBLE: return random_binary(52, 11);
    case INTEGER32: return random_integer(32);
    default: return random_integer(64);
  }
}

static uint32_t random_mxcsr(void) {
  uint32_t sticky = below(2) ? random_bits() & 0x3f : below(2) ? 0x20 : 0;
  if (below(2)) return 0x1f80 | sticky;
  uint32_t control = below(3) ? 0x1f80 : random_bits() & 0x1f80;
  return control | sticky | below(4) << 13 | (below(3) == 0 ? 0x8000 : 0) | (below(3) == 0 ? 0x40 : 0);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  struct sigaction action = {0};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &action, NULL);
  random_state = strtoull(argv[2], NULL, 0);
  long count = atol(argv[3]);
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    if (strcmp(argv[1], operations[i].name)) continue;
    uint64_t previous = 0;
    for (long n = 0; n < count; n++) {
      static struct record r;
      memset(&r, 0, sizeof r);
      r.a = operand(operations[i].kind);
      // Equal and nearly equal operands, and sums that cancel.
      r.b = below(6) ? operand(operations[i].kind) : r.a + below(5) - 2;
      if (below(12) == 0) r.b = previous;
      if (operations[i].kind == SINGLE) r.a &= 0xffffffff, r.b &= 0xffffffff;
      if (operations[i].kind == SINGLE && below(16) == 0) r.b = r.a ^ 0x80000000u;
      previous = r.b;
      r.mxcsr_in = random_mxcsr();
      if (sigsetjmp(escape, 0) == 0) {
        operations[i].execute(&r);
      } else {
        r.faulted = 1, r.mxcsr_out = mxcsr_at_fault, r.result = 0, r.flags = 0;
      }
      uint32_t calm = 0x1f80;
      __asm__ volatile("ldmxcsr %0" : : "m"(calm));
      fwrite(&r, sizeof r, 1, stdout);
    }
    return 0;
  }
  return 3;
}
