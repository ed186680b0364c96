// Finds out by calculating what kind of arithmetic the type REAL has, and prints it: radix, precision, guard digits,
// how each operation rounds in each mode, where numbers end, what lies beyond. Every value is printed by its bits.
// Compiled once for each type and unit; NAME is what to call the result. Nothing of the C library's is calculated with.
#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef volatile REAL real;

static void show(const char *what, REAL value) {
  unsigned char bytes[16] = {0};
  int size = sizeof(REAL) == 16 ? 10 : (int)sizeof(REAL);
  memcpy(bytes, &value, size);
  printf(NAME " %s ", what);
  for (int i = size - 1; i >= 0; i--) printf("%02x", bytes[i]);
  printf("\n");
}

static void show_number(const char *what, int value) { printf(NAME " %s %d\n", what, value); }

static real one = 1, zero = 0, two = 2, three = 3;
static int precision;
static REAL radix, epsilon, smallest, largest;

static void find_radix(void) {
  real big = one, sum, difference;
  do { big = big + big; sum = big + one; difference = sum - big; } while (difference - one == zero);
  real step = one;
  do { step = step + step; sum = big + step; difference = sum - big; } while (difference == zero);
  radix = difference;
  precision = 0;
  real power = one;
  do { precision++; power = power * radix; sum = power + one; difference = sum - power; } while (difference == one);
  show("radix", radix);
  show_number("digits", precision);
  epsilon = one;
  for (int i = 1; i < precision; i++) epsilon = epsilon / radix;
  show("distance from one to the next", epsilon);
}

// Without a guard digit 1 - (1 - e/2) loses its last digit.
static void find_guard_digits(void) {
  real below = one - epsilon / radix, difference = one - below;
  show("guard of a difference", difference);
  real product = below * below, quotient = below / (one + epsilon);
  show("guard of a product", product);
  show("guard of a quotient", quotient);
  real third = one / three, rest = (third + third - one) + third;
  show("what thirds lack of one", rest);
}

static const struct { int mode; const char *name; } MODES[] = {
  {FE_TONEAREST, "to nearest"}, {FE_DOWNWARD, "down"}, {FE_UPWARD, "up"}, {FE_TOWARDZERO, "toward zero"}};

static void find_rounding(void) {
  char text[80];
  for (int m = 0; m < 4; m++) {
    fesetround(MODES[m].mode);
    real half = epsilon / two, more = half + half * epsilon, result;
#define TRY(label, expression) \
    result = (expression); snprintf(text, sizeof text, "%s, rounded %s", label, MODES[m].name); show(text, result)
    TRY("one and half a unit", one + half);
    TRY("the next and half a unit", (one + epsilon) + half);
    TRY("one and more than half a unit", one + more);
    TRY("minus one and half a unit", -one - half);
    TRY("one less a quarter", one - half / two);
    TRY("one less the smallest", one - smallest);
    TRY("a third", one / three);
    TRY("minus two thirds", -two / three);
    TRY("square of the next", (one + epsilon) * (one + epsilon));
    TRY("difference of equals", three - three);
    TRY("largest and largest", largest + largest);
    TRY("minus largest times two", -largest * two);
    TRY("smallest halved", smallest / two);
    TRY("minus smallest halved", -smallest / two);
    TRY("three smallest halved", (smallest * three) / two);
  }
  fesetround(FE_TONEAREST);
}

static void find_ends(void) {
  real down = one, before;
  int steps = 0;
  do { before = down; down = down / two; steps++; } while (down != zero);
  smallest = before;
  show_number("halvings until zero", steps);
  show("smallest", smallest);
  real up = one - epsilon / radix, next;
  steps = 0;
  for (;;) { next = up * two; if (next - next != zero) break; up = next; steps++; }
  largest = up;
  show_number("doublings until infinity", steps);
  show("largest", largest);
  // Gradual underflow: x - y is zero for equal numbers only.
  real normal = smallest;
  for (int i = 1; i < precision; i++) normal = normal * radix;
  show("smallest of full precision", normal);
  real near = normal * (one + epsilon), gap = near - normal;
  show("gap above it", gap);
  show("gap restored", gap + normal);
}

static void find_limits(void) {
  real infinity = largest * two, nan = infinity - infinity, negative = -zero;
  show("infinity", infinity);
  show("not a number", nan);
  show("one by infinity", one / infinity);
  show("minus one by infinity", -one / infinity);
  show("one by minus zero", one / negative);
  show("zero by zero", zero / zero);
  show("zero times infinity", zero * infinity);
  show("minus zero plus zero", negative + zero);
  show("minus zero minus zero", negative - zero);
  show("not a number plus one", nan + one);
  show("not a number times itself negated", nan * -nan);
  show_number("comparisons of not a number", (nan == nan) | (nan < one) << 1 | (nan > one) << 2 | (nan != nan) << 3 | (nan <= nan) << 4);
  show_number("comparisons of zeros", (zero == negative) | (zero < negative) << 1 | (zero <= negative) << 2);
  show_number("comparisons of infinities", (infinity > largest) | (-infinity < -largest) << 1 | (infinity == infinity) << 2);
}

static void find_flags(void) {
  static const struct { int bit; const char *name; } FLAGS[] = {
    {FE_INEXACT, "inexact"}, {FE_UNDERFLOW, "underflow"}, {FE_OVERFLOW, "overflow"}, {FE_DIVBYZERO, "division"}, {FE_INVALID, "invalid"}};
  real infinity = largest * two, result;
#define FLAGS_OF(label, expression) \
  feclearexcept(FE_ALL_EXCEPT); result = (expression); (void)result; printf(NAME " flags of %s:", label); \
  { int raised = fetestexcept(FE_ALL_EXCEPT); for (int i = 0; i < 5; i++) if (raised & FLAGS[i].bit) printf(" %s", FLAGS[i].name); } printf("\n")
  FLAGS_OF("one and one", one + one);
  FLAGS_OF("one by three", one / three);
  FLAGS_OF("one by zero", one / zero);
  FLAGS_OF("zero by zero", zero / zero);
  FLAGS_OF("overflow", largest * largest);
  FLAGS_OF("underflow", smallest * smallest);
  FLAGS_OF("exact denormal", smallest * two);
  FLAGS_OF("inexact denormal", (smallest * three) / two);
  FLAGS_OF("infinity less infinity", infinity - infinity);
}

// Conversions to integers in each mode, and back.
static void find_conversions(void) {
  char text[80];
  static const double VALUES[] = {0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 2147483647.5, -2147483648.5, 4294967296.0, 9.3e18, -9.3e18, 1e300};
  for (unsigned v = 0; v < sizeof VALUES / sizeof *VALUES; v++) {
    real value = (REAL)VALUES[v];
    volatile int narrow = (int)value;
    volatile long long wide = (long long)value;
    printf(NAME " truncated %u: %d %lld\n", v, narrow, wide);
  }
  static const long long INTEGERS[] = {1, -1, 16777217, 9007199254740993LL, 0x7fffffffffffffffLL, -0x7fffffffffffffffLL - 1, 0x7ffffffffffffc01LL};
  for (int m = 0; m < 4; m++) {
    fesetround(MODES[m].mode);
    for (unsigned i = 0; i < sizeof INTEGERS / sizeof *INTEGERS; i++) {
      volatile long long integer = INTEGERS[i];
      snprintf(text, sizeof text, "of integer %u, rounded %s", i, MODES[m].name);
      show(text, (REAL)integer);
    }
  }
  fesetround(FE_TONEAREST);
}

// Identities that hold in correctly rounded arithmetic, tried on many numbers; how often they do not is printed.
static void count_violations(void) {
  uint64_t seed = 88172645463325252ULL;
  int square = 0, quotient = 0, commutes = 0, halves = 0, remainder = 0;
  for (int i = 0; i < 3000; i++) {
    seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17;
    real x = (REAL)(int64_t)(seed >> 11) / (REAL)(1 + (seed & 0xffff)), y = (REAL)(int32_t)seed + one / three;
    real product = x * y, back = product / y, half = x / two;
    quotient += back != x;
    commutes += product != y * x || x + y != y + x;
    halves += half + half != x;
    real integer = (REAL)(int32_t)(seed >> 40), squared = integer * integer;
    square += squared / integer != integer && integer != zero;
    real q = x / y, r = x - q * y;
    remainder += r != zero;
  }
  printf(NAME " of 3000: %d quotients of products differ, %d do not commute, %d halves are not exact, %d squares, %d remainders\n",
         quotient, commutes, halves, square, remainder);
}

int main(void) {
  find_radix();
  find_ends();
  find_guard_digits();
  find_rounding();
  find_limits();
  find_flags();
  find_conversions();
  count_violations();
  return 0;
}
