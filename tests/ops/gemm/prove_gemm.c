/* prove_gemm: the matrix product put to its specification without Python, so that any compiler, optimisation and processor can be.
 *
 *     prove_gemm_f32 [--limit 33] [--random 10000] [--seed 1] [--plant ERROR]        (prove_gemm_f64: the same in double)
 *
 * On every instruction set of this CPU, for each layout of the operands and each start (0, a bias, c itself):
 *   all shapes with m, n, k from 0 to the limit, with the last element of each operand before a page that kills whoever touches it, with
 *   the first one behind such a page, and at addresses that are aligned to nothing but an element;
 *   random shapes up to 400, each side drawn evenly from all orders of magnitude, in one place each; and some that reach every path of
 *   gemm.c (with a limit below 33, in one place each as well).
 * The distances between rows are drawn as well, sometimes multiples of 4 KB, which have paths of their own.
 *
 * What has to hold in each component: the bits are those of the chain of multiply-adds that gemm.c promises, computed here one by one;
 * the chain is within k * eps * (|start| + |A| |B|) of the product in a wider type; nothing is written between or around the rows.
 *
 * It ends with 1 and the case at the first fault. --plant makes one (value, gap, before, behind), to see that it is found.
 */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "ops/kernels.h"
#include "../proving.h"

#if NNC_BUILD_F64
typedef double real;
typedef long double wide;
#define TYPED(name) name##_f64
#define FMA __builtin_fma
static const wide epsilon = 0x1p-52L;
#else
typedef float real;
typedef double wide;
#define TYPED(name) name##_f32
#define FMA __builtin_fmaf
static const wide epsilon = 0x1p-23;
#endif

enum { RANDOM_SIDE = 400, MOST = 11 << 17, AROUND = 64 };

static const size_t larger[][3] = {
    {1, 1, 3000},    {1, 700, 70},    {1, 33, 2000},  {2, 1030, 1030},  {3, 200, 130},   {4, 65, 300},    {5, 130, 900},
    {7, 130, 33},    {64, 1, 130},    {65, 2, 67},    {100, 3, 19},     {50, 4, 500},    {70, 10, 40},    {33, 24, 300},
    {100, 17, 513},  {33, 65, 100},   {64, 128, 64},  {48, 96, 800},    {130, 47, 260},  {17, 1000, 9},   {9, 9, 2049},
    {257, 31, 31},   {70, 300, 130},  {90, 600, 300}, {64, 1024, 70},   {1000, 40, 400}, {40, 1200, 300}, {45, 270, 1024},
    {400, 530, 660}, {2, 1100, 1000}, {4, 1500, 720}, {300, 1100, 700}, {700, 70, 33},
};

extern TYPED(nnc_gemm) TYPED(nnc_gemm_baseline), TYPED(nnc_gemm_avx2), TYPED(nnc_gemm_avx512);
extern TYPED(nnc_gemm) TYPED(nnc_gemm_nt_baseline), TYPED(nnc_gemm_nt_avx2), TYPED(nnc_gemm_nt_avx512);
static const struct {
  const char *name;
  TYPED(nnc_gemm) * gemm[2]; /* by rows of b, or by its columns */
} isas[NNC_ISA_COUNT] = {
    {"baseline", {TYPED(nnc_gemm_baseline), TYPED(nnc_gemm_nt_baseline)}},
#if defined(__x86_64__)
    {"avx2", {TYPED(nnc_gemm_avx2), TYPED(nnc_gemm_nt_avx2)}},
    {"avx512", {TYPED(nnc_gemm_avx512), TYPED(nnc_gemm_nt_avx512)}},
#endif
};
static const struct {
  const char *name;
  int a, b; /* whether it is stored transposed */
} layouts[] = {{"NN", 0, 0}, {"TN", 1, 0}, {"NT", 0, 1}, {"TT", 1, 1}};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

enum { ZERO, BIAS, SUM, STARTS };
static const char *const starts[] = {"0", "bias", "c"};
enum { BEHIND, BEFORE, ANYWHERE, PLACES };
static const char *const places[] = {"end before a guard", "begin behind a guard", "lie anywhere"};
enum { NONE, VALUE, GAP, READ_BEFORE, READ_BEHIND, PLANTS };
static const char *const plants[] = {"none", "value", "gap", "before", "behind"};

static long limit = 33, random_shapes = 10000, planted = NONE;
static size_t cases;
static double closest; /* the largest error, as a part of its bound */

/* What is under test, for the message. */
static struct {
  const char *isa, *layout, *start, *place;
  size_t m, n, k, lda, ldb, ldc;
} now;

static _Noreturn void fail(const char *what) {
  printf("%s: %s %s, m=%zu n=%zu k=%zu, start %s, operands %s, lda=%zu ldb=%zu ldc=%zu\n", what, now.isa, now.layout, now.m, now.n,
         now.k, now.start, now.place, now.lda, now.ldb, now.ldc);
  fflush(stdout);
  _exit(1);
}

static real number(void) { return (real)((double)(draw() >> (NNC_BUILD_F64 ? 11 : 40)) * (NNC_BUILD_F64 ? 0x1p-52 : 0x1p-23) - 1); }

/* The operands of a shape, contiguous, and what has to come out. */
static real a[MOST], b[MOST], bias[MOST], c[MOST], chain[2][STARTS][MOST];
static wide exact[MOST], magnitude[MOST];

#if defined(__x86_64__)
__attribute__((target("avx2,fma")))
#endif
static void chain_fused(real *y, size_t m, size_t n, size_t k) {
  for (size_t i = 0; i < m; i++)
    for (size_t p = 0; p < k; p++)
      for (size_t j = 0; j < n; j++) y[i * n + j] = FMA(a[i * k + p], b[p * n + j], y[i * n + j]);
}

static void chain_rounded(real *y, size_t m, size_t n, size_t k) {
  for (size_t i = 0; i < m; i++)
    for (size_t p = 0; p < k; p++)
      for (size_t j = 0; j < n; j++) y[i * n + j] = a[i * k + p] * b[p * n + j] + y[i * n + j];
}

/* Whether the instruction set has a fused multiply-add. */
static int is_fused(nnc_isa isa) {
#if defined(__aarch64__)
  (void)isa;
  return 1;
#else
  return isa != NNC_ISA_BASELINE;
#endif
}

static real start_of(int start, size_t i, size_t j, size_t n) { return start == BIAS ? bias[j] : start == SUM ? c[i * n + j] : 0; }

static void draw_operands(size_t m, size_t n, size_t k) {
  for (size_t i = 0; i < m * k; i++) a[i] = number();
  for (size_t i = 0; i < k * n; i++) b[i] = number();
  for (size_t i = 0; i < n; i++) bias[i] = number();
  for (size_t i = 0; i < m * n; i++) c[i] = number();
  for (size_t i = 0; i < m * n; i++) exact[i] = magnitude[i] = 0;
  for (size_t i = 0; i < m; i++) {
    for (size_t p = 0; p < k; p++) {
      for (size_t j = 0; j < n; j++) {
        const wide product = (wide)a[i * k + p] * b[p * n + j];
        exact[i * n + j] += product;
        magnitude[i * n + j] += product < 0 ? -product : product;
      }
    }
  }
}

/* The chains of one start, fused and not, which have to keep the bound. */
static void expect(int start, size_t m, size_t n, size_t k) {
  for (int fused = 0; fused <= (nnc_cpu_has(NNC_ISA_AVX2) || is_fused(NNC_ISA_BASELINE)); fused++) {
    real *y = chain[fused][start];
    for (size_t i = 0; i < m; i++)
      for (size_t j = 0; j < n; j++) y[i * n + j] = start_of(start, i, j, n);
    (fused ? chain_fused : chain_rounded)(y, m, n, k);
    for (size_t i = 0; i < m; i++) {
      for (size_t j = 0; j < n; j++) {
        const real first = start_of(start, i, j, n);
        const wide miss = (wide)y[i * n + j] - (exact[i * n + j] + first), error = miss < 0 ? -miss : miss;
        const wide bound = (wide)k * epsilon * (magnitude[i * n + j] + (first < 0 ? -first : first));
        if (!(error <= bound)) fail("the chain is beyond its bound");
        if (error > 0 && (double)(error / bound) > closest) closest = (double)(error / bound);
      }
    }
  }
}

static real canary;

static size_t draw_ld(size_t cols) {
  const size_t page = 4096 / sizeof(real), way = below(16);
  return way == 0 ? (cols + page - 1) / page * page : way == 1 ? (cols + 15) / 16 * 16 : cols + way % 4;
}

/* The rows x cols matrix whose element (i, j) is from[i * down + j * across], with rows ld apart; canaries all around it. */
static real *put(const block *in, int place, const real *from, size_t rows, size_t cols, size_t ld, size_t down, size_t across) {
  const size_t used = rows && cols ? (rows - 1) * ld + cols : 0;
  real *to = place == BEHIND ? (real *)in->last - used : (real *)in->first + (place == ANYWHERE ? AROUND + below(64) : 0);
  for (real *p = to > (real *)in->first + AROUND ? to - AROUND : (real *)in->first; p < to; p++) *p = canary;
  for (real *p = to + used; p < to + used + AROUND && p < (real *)in->last; p++) *p = canary;
  for (size_t i = 0; i < rows && used; i++) {
    real *row = to + i * ld;
    for (size_t j = 0; j < cols; j++) row[j] = from ? from[i * down + j * across] : canary;
    for (size_t j = cols; i + 1 < rows && j < ld && j < cols + AROUND; j++) row[j] = canary;
  }
  return to;
}

static int are_canaries(const real *p, const real *end) {
  for (; p < end; p++)
    if (memcmp(p, &canary, sizeof canary)) return 0;
  return 1;
}

static block blocks[4];

/* The one place that knows the kernel's arguments. */
static void multiply(nnc_isa isa, int layout, real *y, const real *x, const real *w, const real *start, size_t m, size_t n,
                     size_t k, int accumulate) {
  const size_t a_row = layouts[layout].a ? 1 : now.lda, a_col = layouts[layout].a ? now.lda : 1;
  if (planted == VALUE && k) k--;
  if (planted == GAP && m > 1 && n && now.ldc > n) y[n] = 0;
  if (planted == READ_BEFORE && k && n) *(volatile real *)y = w[-1];
  if (planted == READ_BEHIND && n) n++;
  isas[isa].gemm[layouts[layout].b](y, x, w, start, m, n, k, now.ldc, a_row, a_col, now.ldb, accumulate);
}

static void check(nnc_isa isa, int layout, int start, int place, size_t m, size_t n, size_t k) {
  const int at = layouts[layout].a, bt = layouts[layout].b;
  now.isa = isas[isa].name, now.layout = layouts[layout].name, now.start = starts[start], now.place = places[place];
  now.lda = draw_ld(at ? m : k), now.ldb = draw_ld(bt ? k : n), now.ldc = draw_ld(n);
  const real *x = at ? put(blocks, place, a, k, m, now.lda, 1, k) : put(blocks, place, a, m, k, now.lda, k, 1);
  const real *w = bt ? put(blocks + 1, place, b, n, k, now.ldb, 1, n) : put(blocks + 1, place, b, k, n, now.ldb, n, 1);
  const real *from = start == BIAS ? put(blocks + 2, place, bias, 1, n, n, 0, 1) : NULL;
  real *y = put(blocks + 3, place, start == SUM ? c : NULL, m, n, now.ldc, n, 1);
  multiply(isa, layout, y, x, w, from, m, n, k, start == SUM);
  const real *expected = chain[is_fused(isa)][start], *first = (real *)blocks[3].first, *last = (real *)blocks[3].last;
  for (size_t i = 0; i < m && n; i++) {
    if (memcmp(y + i * now.ldc, expected + i * n, n * sizeof(real))) fail("not the bits of the chain");
    if (i + 1 < m && !are_canaries(y + i * now.ldc + n, y + i * now.ldc + (now.ldc < n + AROUND ? now.ldc : n + AROUND)))
      fail("wrote between the rows");
  }
  const real *end = y + (m && n ? (m - 1) * now.ldc + n : 0);
  if (!are_canaries(y - first > AROUND ? y - AROUND : first, y)) fail("wrote before the first row");
  if (!are_canaries(end, last - end > AROUND ? end + AROUND : last)) fail("wrote behind the last row");
  cases++;
}

/* One shape: everything if thorough, else one start and one place for each layout and instruction set. */
static void prove(size_t m, size_t n, size_t k, int thorough) {
  now.m = m, now.n = n, now.k = k;
  draw_operands(m, n, k);
  const int only = thorough ? -1 : (int)below(STARTS);
  for (int start = 0; start < STARTS; start++) {
    if (only >= 0 && start != only) continue;
    expect(start, m, n, k);
    for (nnc_isa isa = 0; isa < NNC_ISA_COUNT; isa++) {
      for (int layout = 0; nnc_cpu_has(isa) && layout < LAYOUTS; layout++) {
        if (!thorough) check(isa, layout, start, (int)below(PLACES), m, n, k);
        for (int place = 0; thorough && place < PLACES; place++) check(isa, layout, start, place, m, n, k);
      }
    }
  }
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t some_size(void) { return (size_t)exp((double)(draw() >> 11) * 0x1p-53 * log(RANDOM_SIDE)); }

static void *prove_all(void *unused) {
  catch_faults();
  const double begin = seconds();
  for (long m = 0; m <= limit; m++) {
    for (long n = 0; n <= limit; n++)
      for (long k = 0; k <= limit; k++) prove((size_t)m, (size_t)n, (size_t)k, 1);
    printf("m = %ld of %ld: %zu products, %.0f s\n", m, limit, cases, seconds() - begin);
  }
  for (size_t i = 0; i < sizeof larger / sizeof *larger; i++) prove(larger[i][0], larger[i][1], larger[i][2], limit >= 33);
  printf("larger shapes: %zu products, %.0f s\n", cases, seconds() - begin);
  for (long i = 0; i < random_shapes; i++) {
    const size_t m = some_size(), n = some_size(), k = some_size();
    prove(m, n, k, 0);
    if ((i + 1) % 1000 == 0)
      printf("random shape %ld of %ld: %zu products, %.0f s\n", i + 1, random_shapes, cases, seconds() - begin);
  }
  printf("proved in %.0f s: %zu products of %ld + %ld + %zu shapes on", seconds() - begin, cases,
         (limit + 1) * (limit + 1) * (limit + 1), random_shapes, sizeof larger / sizeof *larger);
  for (nnc_isa isa = 0; isa < NNC_ISA_COUNT; isa++)
    if (nnc_cpu_has(isa)) printf(" %s", isas[isa].name);
  printf("; the largest error is %.2f of its bound\n", closest);
  return unused;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 1; i < argc; i += 2) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (!strcmp(argv[i], "--limit") && *value) {
      limit = atol(value);
    } else if (!strcmp(argv[i], "--random") && *value) {
      random_shapes = atol(value);
    } else if (!strcmp(argv[i], "--seed") && *value) {
      seed = strtoull(value, NULL, 0) | 1;
    } else if (!strcmp(argv[i], "--plant") && *value) {
      for (planted = 1; planted < PLANTS && strcmp(plants[planted], value);) planted++;
    } else {
      planted = PLANTS;
    }
    if (planted == PLANTS || limit < 0 || limit > 1000) {
      fprintf(stderr, "usage: %s [--limit 33] [--random 10000] [--seed 1] [--plant value|gap|before|behind]\n", argv[0]);
      return 2;
    }
  }
  canary = (real)nan("4711");
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) blocks[i] = guarded(16 * MOST * sizeof(real));
  on_small_stack(prove_all);
  return 0;
}
