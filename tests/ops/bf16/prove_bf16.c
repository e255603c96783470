/* prove_bf16: products of bfloat16 blocks, and the forms of their operands, put to their specification (csrc/ops/low_kernels.h)
 * without Python.
 *
 *     prove_bf16 [--limit 70] [--random 200] [--every 1] [--seed 1] [--plant ERROR]
 *
 * On every instruction set of this CPU; for fewer shapes, as they take long, on amx by its emulator (tests/csrc/amx) where the CPU has
 * none, and on x86-64 in plain C, which is what processors get whose vectors the kernels do not know: all m and n from 0 to the limit,
 * or one of `every`, each with a k of every number of blocks up to the limit, as kernels see no more of it, some times; random larger
 * shapes; and some that reach every path. Numbers are ordinary ones, of all exponents, near the smallest and the largest, any bits at
 * all, and ordinary ones with infinities and NaN among them. What is wanted of a product, distances between rows, and where arrays lie
 * (before a page that kills whoever touches it, behind one, anywhere) is drawn for each shape.
 *
 * What has to hold: each bit is that of the sums in the order of the specification, computed one by one (specification.h); nothing is
 * written between or around what is wanted.
 *
 * It ends with 1 and the case at the first fault. --plant makes one (value, gap, before, behind), to see that it is found.
 */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/fpstate.h"
#include "base/tiles.h"
#include "ops/low_kernels.h"
#include "../proving.h"
#include "specification.h"

enum { MOST = 70, AROUND = 256, AREA = 16 << 20, EMULATED = 100, SCALAR = 20, ROUNDS = 3 };

/* What processors without vectors get, behind the instruction sets. */
enum { PLAIN = NNC_ISA_COUNT, SETS };

static const size_t larger[][3] = {
    {33, 530, 70},  {300, 40, 40}, {2, 64, 1100}, {70, 100, 600}, {1, 1030, 1200}, {1, 33, 2500},  {17, 70, 530},
    {64, 64, 1024}, {520, 33, 64}, {6, 600, 300}, {96, 96, 513},  {290, 70, 560},  {13, 1100, 40}, {32, 32, 4000},
};

__attribute__((weak)) int nncore_amx_emulator(void);
#define SET(isa)                                              \
  extern nnc_bf16_pack nnc_bf16_pack_##isa##_f32;             \
  extern nnc_bf16_product nnc_bf16_product_##isa##_f32;       \
  extern nnc_bf16_product_at nnc_bf16_product_at_##isa##_f32; \
  extern nnc_bf16_column_sum nnc_bf16_column_sum_##isa##_f32;
#define ROW(isa) \
  {#isa, nnc_bf16_pack_##isa##_f32, nnc_bf16_product_##isa##_f32, nnc_bf16_product_at_##isa##_f32, nnc_bf16_column_sum_##isa##_f32}
SET(baseline)
#if defined(__x86_64__)
SET(avx2)
SET(avx512)
SET(amx)
SET(plain)
#endif
static const struct {
  const char *name;
  nnc_bf16_pack *pack;
  nnc_bf16_product *product;
  nnc_bf16_product_at *product_at;
  nnc_bf16_column_sum *column_sum;
} isas[SETS] = {
    ROW(baseline),
#if defined(__x86_64__)
    ROW(avx2),     ROW(avx512), ROW(amx), [PLAIN] = ROW(plain),
#endif
};

enum { ORDINARY, WIDE, SMALL, LARGE, ANY, SPECIAL, KINDS };
static const char *const kinds[] = {"ordinary", "wide", "small", "large", "any", "special"};
enum { BEHIND, BEFORE, ANYWHERE, PLACES };
static const char *const places[] = {"end before a guard", "begin behind a guard", "lie anywhere"};
enum { NONE, VALUE, GAP, READ_BEFORE, READ_BEHIND, PLANTS };
static const char *const plants[] = {"none", "value", "gap", "before", "behind"};

static const char *const forms[] = {"a", "at", "b", "bt"};

static long limit = MOST, random_shapes = 200, every = 1, planted = NONE;
static size_t cases;

/* What is under test, for the message. */
static struct {
  const char *isa, *kind, *place, *what;
  size_t m, n, k, ld;
  int bias, relu, mask, accumulate, wanted, transposed, half, across;
} now;

static _Noreturn void fail(const char *what) {
  printf(
      "%s: %s %s, m=%zu n=%zu k=%zu ld=%zu, %s numbers, arrays %s; bias %d relu %d mask %d accumulate %d wanted %x transposed %d "
      "half %d across %d\n",
      what, now.isa, now.what, now.m, now.n, now.k, now.ld, now.kind, now.place, now.bias, now.relu, now.mask, now.accumulate,
      now.wanted, now.transposed, now.half, now.across);
  fflush(stdout);
  _exit(1);
}

/* ---- Numbers --------------------------------------------------------------------------------------------------------------- */

static float number(int kind) {
  const uint32_t bits = (uint32_t)(draw() >> 32);
  const uint32_t lowest[] = {117, 1, 50, 183, 0, 117}, highest[] = {130, 254, 70, 196, 255, 130};
  uint32_t exponent = lowest[kind] + (uint32_t)below(highest[kind] - lowest[kind] + 1);
  if (below(12) == 0) exponent = 0;
  if (kind == SPECIAL && below(150) == 0) return of_bits((bits & 0x80000000) | 0x7F800000 | (below(2) ? bits & 0x7FFFFF : 0));
  return of_bits((bits & 0x807FFFFF) | exponent << 23);
}

/* The operands of the small shapes, of each kind, as given and as they are multiplied; what comes out for each k. */
static float x_of[KINDS][MOST * MOST], w_of[KINDS][MOST * MOST], x_low[KINDS][MOST * MOST], w_low[KINDS][MOST * MOST];
static float c_of[KINDS][MOST + 1][MOST * MOST];

static float lowered(float x) { return flush(of_bits((uint32_t)narrow(x) << 16)); }

static void draw_operands(void) {
  for (int kind = 0; kind < KINDS; kind++) {
    for (size_t i = 0; i < MOST * MOST; i++) {
      x_low[kind][i] = lowered(x_of[kind][i] = number(kind));
      w_low[kind][i] = lowered(w_of[kind][i] = number(kind));
    }
    for (size_t k = 0; k <= (size_t)limit && k <= MOST; k++)
      multiply(c_of[kind][k], MOST, x_low[kind], w_low[kind], MOST, MOST, MOST, MOST, k);
  }
}

/* ---- Memory ---------------------------------------------------------------------------------------------------------------- */

enum { X, LEFT, RIGHT, BIAS, MASK, ROWS, SUMS, FIRST_FORM, AREAS = FIRST_FORM + FORMS };
static struct {
  char *first, *last, *at;
  size_t bytes;
} areas[AREAS];

static void make_areas(void) {
  for (int i = 0; i < AREAS; i++) {
    const block own = guarded(AREA);
    areas[i].first = own.first;
    areas[i].last = own.last;
  }
}

static int place;

/* So many bytes, with others around them that nobody may change. */
static void *take(int area, size_t bytes, size_t element) {
  char *const first = areas[area].first, *const last = areas[area].last;
  if (bytes + 2 * AROUND > AREA) fail("too large for this program");
  char *at = place == BEHIND ? last - bytes : place == BEFORE ? first : first + AROUND + below(64) * element;
  char *from = at - first > AROUND ? at - AROUND : first, *to = last - (at + bytes) > AROUND ? at + bytes + AROUND : last;
  memset(from, 0xA5, (size_t)(to - from));
  areas[area].at = at;
  areas[area].bytes = bytes;
  return at;
}

static void check_untouched(const char *from, const char *to) {
  for (; from < to; from++)
    if (*from != (char)0xA5) fail("wrote between or around");
}
static void check_around(int area) {
  const char *at = areas[area].at, *end = at + areas[area].bytes;
  check_untouched(at - areas[area].first > AROUND ? at - AROUND : areas[area].first, at);
  check_untouched(end, areas[area].last - end > AROUND ? end + AROUND : areas[area].last);
}

/* Room for the forms that are wanted, and whether they are what they should be. */
static void take_forms(nnc_bf16_forms *to, int wanted, size_t rows, size_t cols) {
  nnc_bf16 **const slots[] = {&to->a, &to->at, &to->b, &to->bt};
  const size_t down = blocks(rows), right = blocks(cols);
  for (int f = 0; f < FORMS; f++) {
    const size_t count = f == A || f == BT ? down * right : down && right ? (right - 1) * to->stride + down : 0;
    *slots[f] = wanted >> f & 1 ? take(FIRST_FORM + f, count * BLOCK * sizeof(nnc_bf16), sizeof(nnc_bf16)) : NULL;
  }
}
/* On amx, form at is the transpose, and elsewhere the matrix as it lies. */
static uint16_t expected_form[FORMS + 1][4 << 20];
static int kind_of(int form, int isa) { return form == AT && isa != NNC_ISA_AMX ? AT_AS_IT_LIES : form; }
static void expect_forms(int wanted, const uint16_t *y, size_t rows, size_t cols, int half) {
  const size_t down = blocks(rows), right = blocks(cols), top = half == 2 ? SIDE / 2 : 0;
  for (int f = 0; f <= FORMS; f++) {
    if (!(wanted >> (f == AT_AS_IT_LIES ? AT : f) & 1)) continue;
    memset(expected_form[f], 0, down * right * BLOCK * 2);
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < cols; j++) expected_form[f][place_in(f, top + i, j, down, right)] = y[i * cols + j];
    for (size_t i = 0; half && i < SIDE / 2; i++) /* the other half, untouched */
      for (size_t j = 0; j < right * SIDE; j++) expected_form[f][place_in(f, SIDE / 2 - top + i, j, down, right)] = 0xA5A5;
  }
}
static void check_forms(int isa, const nnc_bf16_forms *to, int wanted, size_t rows, size_t cols) {
  const nnc_bf16 *const slots[] = {to->a, to->at, to->b, to->bt};
  const size_t down = blocks(rows), right = blocks(cols);
  for (int f = 0; f < FORMS; f++) {
    if (!(wanted >> f & 1)) continue;
    now.what = forms[f];
    check_around(FIRST_FORM + f);
    const size_t lines = f == A || f == BT ? down : right, length = f == A || f == BT ? right : down,
                 step = f == A || f == BT ? right : to->stride;
    for (size_t i = 0; i < lines && length; i++) {
      if (memcmp(slots[f] + i * step * BLOCK, expected_form[kind_of(f, isa)] + i * length * BLOCK, length * BLOCK * 2))
        fail("not the bits of the form");
      if (i + 1 < lines)
        check_untouched((const char *)(slots[f] + (i * step + length) * BLOCK), (const char *)(slots[f] + (i + 1) * step * BLOCK));
    }
  }
}

/* ---- Cases ----------------------------------------------------------------------------------------------------------------- */

static uint16_t low[4 << 20];
static float y_expected[4 << 20], rows_expected[4 << 20], rows_before[4 << 20], sums_expected[1 << 20];

/* Whether an instruction set takes part, this time. */
static int takes_part(int isa) {
  if (isa == PLAIN) return isas[PLAIN].name && (below(SCALAR) == 0 || now.m > MOST);
  if (!nnc_cpu_has(isa)) return 0;
  if (isa != NNC_ISA_AMX) return 1;
  return nnc_tiles_permit() &&
         (!nncore_amx_emulator || !nncore_amx_emulator() || below(EMULATED) == 0 || now.m > MOST || limit < 9);
}

#define CALL(isa, call)                       \
  do {                                        \
    nnc_tiles_enter((isa) == NNC_ISA_AMX);    \
    const nnc_fpstate saved = nnc_fp_enter(); \
    (call);                                   \
    nnc_fp_leave(saved);                      \
    nnc_tiles_leave((isa) == NNC_ISA_AMX);    \
    cases++;                                  \
  } while (0)

static void prove_pack(const float *x, size_t ldx, size_t m, size_t k) {
  const int half = now.half = m && m <= SIDE / 2 ? (int)below(3) : 0,
            wanted = now.wanted = half ? 4 << below(2) : 1 + (int)below(15);
  const size_t ld = now.ld = k + below(3), stride = blocks(m) + below(2);
  float *given = take(X, (m ? (m - 1) * ld + k : 0) * sizeof(float), sizeof(float));
  float *sum = sums_expected, part[MOST] = {0};
  for (size_t j = 0; j < k; j++) sum[j] = 0;
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < k; j++) {
      given[i * ld + j] = x[i * ldx + j];
      low[i * k + j] = narrow(x[i * ldx + j]);
      part[j] = add(i % SIDE ? part[j] : 0, x[i * ldx + j]);
      if (i % SIDE == SIDE - 1 || i + 1 == m) sum[j] = one_nan(add(sum[j], part[j]));
    }
  }
  expect_forms(wanted, low, m, k, half);
  for (int isa = 0; isa < SETS; isa++) {
    if (!takes_part(isa)) continue;
    now.isa = isas[isa].name;
    nnc_bf16_forms to = {.stride = stride, .half = half};
    take_forms(&to, wanted, m, k);
    CALL(isa, isas[isa].pack(&to, given, m, k, ld));
    check_forms(isa, &to, wanted, m, k);
    now.what = "sums";
    float *sums = take(SUMS, k * sizeof(float), sizeof(float));
    CALL(isa, isas[isa].column_sum(sums, given, m, k, ld));
    if (memcmp(sums, sum, k * sizeof(float))) fail("not the bits of the sums");
    check_around(SUMS);
  }
}

/* What is wanted of c [m, n]. */
static void expect(const float *c, size_t ldc, const float *bias, const uint16_t *mask, size_t m, size_t n) {
  memset(sums_expected, 0, blocks(m) * n * sizeof(float));
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < n; j++) {
      float y = c[i * ldc + j], *sum = sums_expected + i / SIDE * n + j;
      if (now.bias) y = add(y, bias[j]);
      if (now.relu && y < 0) y = 0;
      if (now.mask && (mask[i * n + j] >> 15 || !mask[i * n + j])) y = 0;
      y_expected[i * n + j] = y = one_nan(y);
      *sum = add(*sum, y);
      low[i * n + j] = narrow(y);
      rows_expected[i * n + j] = now.accumulate ? one_nan(add(rows_before[i * n + j], y)) : y;
    }
  }
  for (size_t i = 0; i < blocks(m) * n; i++) sums_expected[i] = one_nan(sums_expected[i]);
}

static void call(int isa, const nnc_bf16_result *to, const nnc_bf16 *a, const nnc_bf16 *b, size_t m, size_t n, size_t k) {
  if (planted == READ_BEFORE && m && k) *(volatile nnc_bf16 *)low = a[-1];
  if (planted == READ_BEHIND && n && k) *(volatile nnc_bf16 *)low = b[blocks(n) * blocks(k) * BLOCK];
  if (now.transposed) CALL(isa, isas[isa].product_at(to, a, b, m, n, k, isa == NNC_ISA_AMX ? 0 : (size_t)now.across));
  else CALL(isa, isas[isa].product(to, a, b, m, n, k));
  if (planted == VALUE && to->rows && m && n) to->rows[0] = of_bits(bits_of(to->rows[0]) ^ 1);
  if (planted == GAP && to->rows && m > 1 && n && to->ld > n) to->rows[n] = 0;
}

/* Where x [i, q] lies in the left operand. */
static size_t place_of_left(int isa, size_t i, size_t q, size_t steps, size_t down) {
  if (!now.transposed) return place_in(A, i, q, down, steps);
  if (now.half) i += SIDE / 2;
  if (now.across && isa != NNC_ISA_AMX) return place_in(A, q, i, steps, (size_t)now.across);
  return place_in(kind_of(AT, isa), q, i, steps, down);
}

/* w [k, n]; x and w as they are multiplied, c what comes out. */
static void prove_product(const float *x, size_t ldx, const float *w, size_t ldw, const float *c, size_t ldc, size_t m, size_t n,
                          size_t k, int kind) {
  now.bias = (int)below(2), now.relu = (int)below(2), now.mask = (int)below(2), now.accumulate = (int)below(2),
  now.transposed = (int)below(2), now.half = now.transposed && m && m <= SIDE / 2 ? (int)below(2) : 0;
  const int wanted = now.wanted = (int)below(16), wants_rows = !wanted || below(2), wants_sums = (int)below(2);
  const size_t ld = now.ld = n + (below(4) ? below(3) : 0), ldsums = n + below(2), steps = blocks(k), down = blocks(m),
               right = blocks(n);
  now.across = now.transposed && down && steps && below(2) ? (int)(down + below(2)) : 0;
  const size_t left_blocks = now.across ? (steps - 1) * (size_t)now.across + down : down * steps;
  nnc_bf16 *a = take(LEFT, left_blocks * BLOCK * 2, 2), *b = take(RIGHT, right * steps * BLOCK * 2, 2),
           *mask = take(MASK, down * right * BLOCK * 2, 2);
  float *bias = take(BIAS, n * sizeof(float), sizeof(float));
  memset(b, 0, areas[RIGHT].bytes);
  memset(mask, 0, areas[MASK].bytes);
  static uint16_t saved[4 << 20];
  for (size_t j = 0; j < n; j++) bias[j] = number(kind);
  for (size_t i = 0; i < m * n; i++)
    rows_before[i] = number(kind), saved[i] = (uint16_t)(draw() >> 48) & (below(2) ? 0x7FFF : 0x8000);
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < n; j++) mask[place_in(A, i, j, down, right)] = saved[i * n + j];
  }
  for (size_t q = 0; q < k; q++)
    for (size_t j = 0; j < n; j++) b[place_in(B, q, j, steps, right)] = (uint16_t)(bits_of(w[q * ldw + j]) >> 16);
  expect(c, ldc, bias, saved, m, n);
  expect_forms(wanted, low, m, n, 0);
  for (int isa = 0; isa < SETS; isa++) {
    if (!takes_part(isa)) continue;
    now.isa = isas[isa].name;
    memset(a, 0, areas[LEFT].bytes);
    for (size_t i = 0; i < m; i++)
      for (size_t q = 0; q < k; q++) a[place_of_left(isa, i, q, steps, down)] = (uint16_t)(bits_of(x[i * ldx + q]) >> 16);
    nnc_bf16_result to = {.ld = ld,
                          .ldsums = ldsums,
                          .accumulate = now.accumulate,
                          .relu = now.relu,
                          .bias = now.bias ? bias : NULL,
                          .mask = now.mask ? mask : NULL};
    to.forms.stride = down + below(2);
    take_forms(&to.forms, wanted, m, n);
    if (wants_rows) to.rows = take(ROWS, (m ? (m - 1) * ld + n : 0) * sizeof(float), sizeof(float));
    if (wants_sums) to.column_sums = take(SUMS, (down ? (down - 1) * ldsums + n : 0) * sizeof(float), sizeof(float));
    for (size_t i = 0; to.rows && i < m; i++) memcpy(to.rows + i * ld, rows_before + i * n, n * sizeof(float));
    call(isa, &to, a + (now.half ? nnc_bf16_second_half(isa == NNC_ISA_AMX) : 0), b, m, n, k);
    check_forms(isa, &to.forms, wanted, m, n);
    now.what = "product";
    for (size_t i = 0; to.rows && n && i < m; i++) {
      if (memcmp(to.rows + i * ld, rows_expected + i * n, n * sizeof(float))) fail("not the bits of the product");
      if (i + 1 < m) check_untouched((char *)(to.rows + i * ld + n), (char *)(to.rows + (i + 1) * ld));
    }
    if (to.rows) check_around(ROWS);
    for (size_t i = 0; to.column_sums && n && i < down; i++) {
      if (memcmp(to.column_sums + i * ldsums, sums_expected + i * n, n * sizeof(float))) fail("not the bits of the sums");
      if (i + 1 < down) check_untouched((char *)(to.column_sums + i * ldsums + n), (char *)(to.column_sums + (i + 1) * ldsums));
    }
    if (to.column_sums) check_around(SUMS);
  }
}

static void begin_case(size_t m, size_t n, size_t k, int kind) {
  now.m = m, now.n = n, now.k = k;
  now.kind = kinds[kind];
  place = (int)below(PLACES);
  now.place = places[place];
}

static void prove_small(size_t m, size_t n, size_t k) {
  const int kind = (int)below(KINDS);
  begin_case(m, n, k, kind);
  if (n == 0 || below(16) == 0) prove_pack(x_of[kind], MOST, m, k);
  prove_product(x_low[kind], MOST, w_low[kind], MOST, c_of[kind][k], MOST, m, n, k, kind);
}

static void prove_large(size_t m, size_t n, size_t k, int kind) {
  static float x[4 << 20], w[4 << 20], c[4 << 20];
  begin_case(m, n, k, kind);
  for (size_t i = 0; i < m * k; i++) x[i] = lowered(number(kind));
  for (size_t i = 0; i < k * n; i++) w[i] = lowered(number(kind));
  multiply(c, n, x, w, k, n, m, n, k);
  prove_product(x, k, w, n, c, n, m, n, k, kind);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t some_size(void) { return (size_t)exp((double)(draw() >> 11) * 0x1p-53 * log(300)); }

/* A k of so many blocks. */
static size_t some_k(size_t steps) {
  const size_t most = steps * SIDE < (size_t)limit ? steps * SIDE : (size_t)limit;
  return steps ? (steps - 1) * SIDE + 1 + below(most - (steps - 1) * SIDE) : 0;
}

static void *prove_all(void *unused) {
  catch_faults();
  const double begin = seconds();
  draw_operands();
  printf("sums of every k: %.0f s\n", seconds() - begin);
  for (size_t round = 0; round < ROUNDS; round++)
    for (size_t i = below((size_t)every), sides = (size_t)limit + 1; i < sides * sides; i += 1 + below(2 * (size_t)every - 1))
      for (size_t steps = 0; steps <= blocks((size_t)limit); steps++) prove_small(i / sides, i % sides, some_k(steps));
  printf("small shapes: %zu calls, %.0f s\n", cases, seconds() - begin);
  for (size_t i = 0; i < (limit < MOST ? 4 : sizeof larger / sizeof *larger); i++)
    for (int kind = 0; kind < KINDS; kind += 1 + (int)below(2)) prove_large(larger[i][0], larger[i][1], larger[i][2], kind);
  for (long i = 0; i < random_shapes; i++) prove_large(some_size(), some_size(), some_size(), (int)below(KINDS));
  printf("proved in %.0f s: %zu calls on", seconds() - begin, cases);
  for (int isa = 0; isa < SETS; isa++)
    if (isas[isa].name && (isa == PLAIN || nnc_cpu_has(isa))) printf(" %s", isas[isa].name);
  printf("\n");
  return unused;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 1; i < argc; i += 2) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (!strcmp(argv[i], "--limit") && *value) limit = atol(value);
    else if (!strcmp(argv[i], "--random") && *value) random_shapes = atol(value);
    else if (!strcmp(argv[i], "--every") && *value) every = atol(value);
    else if (!strcmp(argv[i], "--seed") && *value) seed = strtoull(value, NULL, 0) | 1;
    else if (!strcmp(argv[i], "--plant") && *value)
      for (planted = 1; planted < PLANTS && strcmp(plants[planted], value);) planted++;
    else planted = PLANTS;
    if (planted == PLANTS || limit < 0 || limit > MOST || every < 1) {
      fprintf(stderr, "usage: %s [--limit 70] [--random 200] [--every 1] [--seed 1] [--plant value|gap|before|behind]\n", argv[0]);
      return 2;
    }
  }
  make_areas();
  on_small_stack(prove_all);
  return 0;
}
