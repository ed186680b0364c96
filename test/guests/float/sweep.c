// Every operation of SSE and x87 over pairs of corner values and random ones, in every rounding mode and precision, with
// denormals as they are and as zeros, exceptions masked and unmasked. A line an operation: a hash of all results and
// sticky flags, so that one bit that differs shows. Transcendental functions are hashed to 45 bits: see below.
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;

static u64 hash;
static void mix(u64 value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL; hash ^= hash >> 29; }
static void line(const char *group, const char *name, int a, int b) {
  printf("sweep %s %s %d %d %016llx\n", group, name, a, b, (unsigned long long)hash);
  hash = 0;
}

static u64 seed = 0x853c49e6748fea9bULL;
static u64 next(void) { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return seed * 0x2545f4914f6cdd1dULL; }

static const u64 CORNERS[] = {
  0, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0xfff0000000000000,
  0x7ff8000000000001, 0x7ff0000000000001, 0xfff4000000000003, 1, 0x800fffffffffffff, 0x0010000000000000,
  0x7fefffffffffffff, 0x3fe0000000000000, 0x3ff0000000000001, 0x3fefffffffffffff, 0x4008000000000000,
  0x36a0000000000000, 0x3810000010000000, 0x47efffffe0000000, 0x47effffff0000000, 0x41dfffffffc00000, 0x43dfffffffffffff,
  0xc1e0000000200000, 0x4330000000000001};
#define CORNER_COUNT (int)(sizeof CORNERS / sizeof *CORNERS)
#define VALUES 40
static u64 values[VALUES];

static void make_values(void) {
  for (int i = 0; i < VALUES; i++) values[i] = i < CORNER_COUNT ? CORNERS[i] : (next() & 0x800fffffffffffff) | (1013 + next() % 20) << 52;
}

static void set_mxcsr(u32 value) { __asm__ volatile("ldmxcsr %0" : : "m"(value)); }
static u32 get_mxcsr(void) { u32 value; __asm__ volatile("stmxcsr %0" : "=m"(value)); return value; }

// ---- SSE ----
#define SSE_TWO(name, instruction) \
static void name(u64 a, u64 b) { \
  u64 r = 0; \
  __asm__ volatile("movq %1, %%xmm0; movq %2, %%xmm1; " instruction " %%xmm1, %%xmm0; movq %%xmm0, %0" : "=r"(r) : "r"(a), "r"(b) : "xmm0", "xmm1"); \
  mix(r); \
}
SSE_TWO(addsd, "addsd") SSE_TWO(subsd, "subsd") SSE_TWO(mulsd, "mulsd") SSE_TWO(divsd, "divsd") SSE_TWO(sqrtsd, "sqrtsd")
SSE_TWO(minsd, "minsd") SSE_TWO(maxsd, "maxsd") SSE_TWO(addps, "addps") SSE_TWO(mulps, "mulps") SSE_TWO(divps, "divps")
SSE_TWO(sqrtps, "sqrtps") SSE_TWO(cvtsd2ss, "cvtsd2ss") SSE_TWO(cvtss2sd, "cvtss2sd") SSE_TWO(cvtps2dq, "cvtps2dq")
SSE_TWO(cvttps2dq, "cvttps2dq") SSE_TWO(cvtdq2ps, "cvtdq2ps") SSE_TWO(cmpltsd, "cmpltsd") SSE_TWO(cmpunordps, "cmpunordps")
static void cvtsd2si(u64 a, u64 b) {
  u64 r, t; (void)b;
  __asm__ volatile("movq %2, %%xmm0; cvtsd2si %%xmm0, %0; cvttsd2si %%xmm0, %1" : "=r"(r), "=r"(t) : "r"(a) : "xmm0");
  mix(r); mix(t);
}
static void ucomisd(u64 a, u64 b) {
  u64 flags;
  __asm__ volatile("movq %1, %%xmm0; movq %2, %%xmm1; ucomisd %%xmm1, %%xmm0; pushfq; popq %0" : "=r"(flags) : "r"(a), "r"(b) : "xmm0", "xmm1", "cc");
  mix(flags & 0x8d5);
}
static const struct { const char *name; void (*run)(u64, u64); } SSE[] = {
#define ROW(name) {#name, name}
  ROW(addsd), ROW(subsd), ROW(mulsd), ROW(divsd), ROW(sqrtsd), ROW(minsd), ROW(maxsd), ROW(addps), ROW(mulps), ROW(divps), ROW(sqrtps),
  ROW(cvtsd2ss), ROW(cvtss2sd), ROW(cvtps2dq), ROW(cvttps2dq), ROW(cvtdq2ps), ROW(cmpltsd), ROW(cmpunordps), ROW(cvtsd2si), ROW(ucomisd)};
#define SSE_COUNT (int)(sizeof SSE / sizeof *SSE)

static void sweep_sse(void) {
  for (int op = 0; op < SSE_COUNT; op++)
    for (int mode = 0; mode < 4; mode++)
      for (int zeros = 0; zeros < 4; zeros++) { // bit 0: results flushed to zero, bit 1: denormals are zeros
        for (int i = 0; i < VALUES; i++)
          for (int j = 0; j < VALUES; j += 1 + (zeros != 0)) {
            set_mxcsr(0x1f80 | mode << 13 | (zeros & 1) << 15 | (zeros & 2) << 5);
            SSE[op].run(values[i], values[j]);
            mix(get_mxcsr());
          }
        set_mxcsr(0x1f80);
        line("sse", SSE[op].name, mode, zeros);
      }
}

// ---- x87 ----
struct extended { u64 significand; u16 exponent; } __attribute__((packed));
static void mix_extended(struct extended e) { mix(e.significand); mix(e.exponent); }
static void set_control(u16 value) { __asm__ volatile("fldcw %0" : : "m"(value)); }

#define X87_TWO(name, instruction) \
static void name(const struct extended *a, const struct extended *b) { \
  struct extended r; u16 status; \
  __asm__ volatile("fnclex; fldt %3; fldt %2; " instruction "; fnstsw %1; fstpt %0; fstp %%st(0)" : "=m"(r), "=a"(status) : "m"(*a), "m"(*b) : "st", "st(1)"); \
  mix_extended(r); mix(status & 0x477f); \
}
X87_TWO(fadd, "fadd %%st(1), %%st") X87_TWO(fsub, "fsub %%st(1), %%st") X87_TWO(fmul, "fmul %%st(1), %%st")
X87_TWO(fdiv, "fdiv %%st(1), %%st") X87_TWO(fdivr, "fdivr %%st(1), %%st") X87_TWO(fsqrt, "fsqrt") X87_TWO(frndint, "frndint")
X87_TWO(fscale, "fscale") X87_TWO(fprem, "fprem") X87_TWO(fprem1, "fprem1") X87_TWO(fchs, "fchs") X87_TWO(fabs_, "fabs")
X87_TWO(fxam, "fxam") X87_TWO(ftst, "ftst") X87_TWO(fcom, "fcom %%st(1)") X87_TWO(fucom, "fucom %%st(1)")
static void fxtract(const struct extended *a, const struct extended *b) {
  struct extended r, s; u16 status; (void)b;
  __asm__ volatile("fnclex; fldt %3; fxtract; fnstsw %2; fstpt %0; fstpt %1" : "=m"(r), "=m"(s), "=a"(status) : "m"(*a) : "st", "st(1)");
  mix_extended(r); mix_extended(s); mix(status & 0x477f);
}
static void stores(const struct extended *a, const struct extended *b) {
  float f; double d; short h; int w; long long q; struct extended packed; u16 status; (void)b;
  __asm__ volatile("fnclex; fldt %7; fsts %0; fstl %1; fists %2; fistl %3; fld %%st; fistpll %4; fbstp %5; fnstsw %6"
                   : "=m"(f), "=m"(d), "=m"(h), "=m"(w), "=m"(q), "=m"(packed), "=a"(status) : "m"(*a) : "st", "st(1)");
  u32 fb; u64 db;
  memcpy(&fb, &f, 4); memcpy(&db, &d, 8);
  mix(fb); mix(db); mix((u64)h); mix((u64)w); mix((u64)q); mix_extended(packed); mix(status & 0x477f);
}
static const struct { const char *name; void (*run)(const struct extended *, const struct extended *); } X87[] = {
  ROW(fadd), ROW(fsub), ROW(fmul), ROW(fdiv), ROW(fdivr), ROW(fsqrt), ROW(frndint), ROW(fscale), ROW(fprem), ROW(fprem1), ROW(fchs), {"fabs", fabs_},
  ROW(fxam), ROW(ftst), ROW(fcom), ROW(fucom), ROW(fxtract), ROW(stores)};
#define X87_COUNT (int)(sizeof X87 / sizeof *X87)

#define EXTENDED 34
static struct extended extended[EXTENDED];
static void make_extended(void) {
  static const struct extended corners[] = {
    {0, 0}, {0, 0x8000}, {1ULL << 63, 0x3fff}, {1ULL << 63, 0xbfff}, {1ULL << 63, 0x7fff}, {1ULL << 63, 0xffff}, {0xc000000000000001, 0x7fff},
    {0xa000000000000001, 0x7fff}, {1, 0}, {0x7fffffffffffffff, 0x8000}, {1ULL << 63, 1}, {~0ULL, 0x7ffe}, {~0ULL, 0xfffe}, {1ULL << 63, 0x3ffe},
    {0xc000000000000000, 0x4000}, {~0ULL, 0x3ffe}, {0x8000000000000001, 0x3fff}, {0x8000008000000000, 0x3fff}, {0x8000000000000400, 0x3fff},
    {0xfffffffe00000000, 0x401d}, {~0ULL, 0x403d}, {1ULL << 63, 0x400e}, {0xde0b6b3a763fffe0, 0x403a}, {1ULL << 63, 0}};
  int n = sizeof corners / sizeof *corners;
  for (int i = 0; i < EXTENDED; i++) {
    if (i < n) { extended[i] = corners[i]; continue; }
    extended[i].significand = next() | 1ULL << 63;
    extended[i].exponent = 0x3ff0 + next() % 40 + ((next() & 1) << 15);
  }
}

static void sweep_x87(void) {
  static const int PRECISIONS[] = {0, 2, 3};
  for (int op = 0; op < X87_COUNT; op++)
    for (int p = 0; p < 3; p++)
      for (int mode = 0; mode < 4; mode++) {
        for (int i = 0; i < EXTENDED; i++)
          for (int j = 0; j < EXTENDED; j++) {
            set_control(0x7f | PRECISIONS[p] << 8 | mode << 10);
            X87[op].run(&extended[i], &extended[j]);
          }
        __asm__ volatile("fninit");
        line("x87", X87[op].name, PRECISIONS[p], mode);
      }
}

// ---- transcendental functions ----
// Processors round these differently in the last of 64 bits, so 45 are compared here, of doubles rounded from them.
#define FUNCTION(name, instruction) \
static double name(double x, double y) { \
  double r; \
  __asm__ volatile("fldl %2; fldl %1; " instruction "; fstpl %0; fninit" : "=m"(r) : "m"(x), "m"(y) : "st", "st(1)", "st(2)"); \
  return r; \
}
FUNCTION(fsin_, "fsin") FUNCTION(fcos_, "fcos") FUNCTION(fptan_, "fptan; fstp %%st(0)") FUNCTION(fpatan_, "fpatan")
FUNCTION(f2xm1_, "f2xm1") FUNCTION(fyl2x_, "fyl2x") FUNCTION(fyl2xp1_, "fyl2xp1")
static const struct { const char *name; double (*run)(double, double); double scale; int positive; } FUNCTIONS[] = {
  {"fsin", fsin_, 100, 0}, {"fcos", fcos_, 100, 0}, {"fptan", fptan_, 100, 0}, {"fpatan", fpatan_, 10, 0},
  {"f2xm1", f2xm1_, 1, 0}, {"fyl2x", fyl2x_, 1000, 1}, {"fyl2xp1", fyl2xp1_, 0.29, 0}};

static void sweep_functions(void) {
  for (unsigned f = 0; f < sizeof FUNCTIONS / sizeof *FUNCTIONS; f++) {
    for (int i = 0; i < 1500; i++) {
      double x = (double)(int64_t)next() / 9223372036854775808.0 * FUNCTIONS[f].scale;
      if (FUNCTIONS[f].positive && x < 0) x = -x;
      double r = FUNCTIONS[f].run(x, 1 + (double)(i % 7));
      u64 bits;
      memcpy(&bits, &r, 8);
      mix((bits + 0x80) & ~0xffULL);
    }
    line("function", FUNCTIONS[f].name, 0, 0);
  }
}

// ---- unmasked exceptions, which arrive as signals ----
static sigjmp_buf back;
static void on_signal(int number, siginfo_t *information, void *context) {
  (void)number; (void)context;
  siglongjmp(back, information->si_code);
}

static void sweep_signals(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGFPE, &action, 0);
  for (volatile int mask = 0; mask < 6; mask++) {
    for (volatile int op = 0; op < SSE_COUNT; op++)
      for (volatile int i = 0; i < VALUES; i += 2) {
        int code = sigsetjmp(back, 1);
        if (code == 0) {
          set_mxcsr(0x1f80 & ~(0x80u << mask));
          SSE[op].run(values[i], values[(i * 7 + 3) % VALUES]);
        }
        mix((u64)code);
        set_mxcsr(0x1f80);
      }
    line("signals", "sse", mask, 0);
    for (volatile int op = 0; op < X87_COUNT; op++)
      for (volatile int i = 0; i < EXTENDED; i += 2) {
        int code = sigsetjmp(back, 1);
        if (code == 0) {
          set_control(0x37f & ~(1 << mask));
          X87[op].run(&extended[i], &extended[(i * 7 + 3) % EXTENDED]);
          __asm__ volatile("fwait");
        }
        mix((u64)code);
        __asm__ volatile("fninit");
      }
    line("signals", "x87", mask, 0);
  }
}

int main(void) {
  make_values();
  make_extended();
  sweep_sse();
  sweep_x87();
  sweep_functions();
  sweep_signals();
  return 0;
}
