/* prove_int8: the products of 8-bit integers put to their specification (csrc/ops/int8.h) without Python.
 *
 *     prove_int8 [--limit 70] [--random 2000] [--seed 1] [--plant ERROR]
 *
 * On every instruction set of this CPU (with tests/csrc/amx/emulator.c linked in, also on amx), with VNNI and without: all shapes with
 * m up to 20 and n, k from 1 to the limit, and random ones up to 700; the largest k, with weights and inputs that make the largest
 * sums. Inputs hold zeros, numbers whose quotients lie half way between two integers, rows of zeros, tiny rows, NaN and infinities.
 * Each array ends before a page that kills whoever touches it; the memory that may be read behind it counts to it.
 *
 * What has to hold in each component: weights, scales and inputs are those of the specification, computed here one by one; so are the
 * bits of the result, with and without a bias; unpacking gives what was packed; and nothing is written between or around the rows.
 *
 * It ends with 1 and the case at the first fault. --plant makes one (value, gap, behind), to see that it is found.
 */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/fpstate.h"
#include "base/tiles.h"
#include "ops/int8.h"
#include "../proving.h"

#define SET(isa)                                                        \
  extern nnc_int8_quantize_weight nnc_int8_quantize_weight_##isa##_f32; \
  extern nnc_int8_pack nnc_int8_pack_##isa##_f32;                       \
  extern nnc_int8_unpack nnc_int8_unpack_##isa##_f32;                   \
  extern nnc_int8_quantize nnc_int8_quantize_##isa##_f32;               \
  extern nnc_int8_product nnc_int8_product_##isa##_f32;
SET(baseline)
#define ROW(isa, needed)                 \
  {#isa,                                 \
   needed,                               \
   nnc_int8_quantize_weight_##isa##_f32, \
   nnc_int8_pack_##isa##_f32,            \
   nnc_int8_unpack_##isa##_f32,          \
   nnc_int8_quantize_##isa##_f32,        \
   nnc_int8_product_##isa##_f32}
#if defined(__x86_64__)
SET(avx2)
SET(avx512)
SET(avx2_wide)
SET(avx512_wide)
SET(amx)
#endif

static const struct {
  const char *name;
  nnc_isa needed;
  nnc_int8_quantize_weight *quantize_weight;
  nnc_int8_pack *pack;
  nnc_int8_unpack *unpack;
  nnc_int8_quantize *quantize;
  nnc_int8_product *product;
} sets[] = {
    ROW(baseline, NNC_ISA_BASELINE),
#if defined(__x86_64__)
    ROW(avx2, NNC_ISA_AVX2),          ROW(avx2_wide, NNC_ISA_AVX2), ROW(avx512, NNC_ISA_AVX512),
    ROW(avx512_wide, NNC_ISA_AVX512), ROW(amx, NNC_ISA_AMX),
#endif
};
enum { SETS = sizeof sets / sizeof *sets };
enum { MOST_ROWS = 20, RANDOM_SIDE = 700, MOST = RANDOM_SIDE * RANDOM_SIDE, AROUND = 32 };
enum { NONE, VALUE, GAP, BEHIND, PLANTS };
static const char *const plants[] = {"none", "value", "gap", "behind"};

static long limit = 70, random_shapes = 2000, planted = NONE;
static size_t cases;
static struct {
  const char *set;
  size_t m, n, k, ldx, ldy, first;
} now;

static _Noreturn void fail(const char *what) {
  printf("%s: %s, m=%zu n=%zu k=%zu ldx=%zu ldy=%zu, columns from %zu\n", what, now.set, now.m, now.n, now.k, now.ldx, now.ldy,
         now.first);
  fflush(stdout);
  _exit(1);
}

static float number(void) { return (float)((double)(draw() >> 40) * 0x1p-23 - 1); }

/* Ends of guarded memory, and the operands, which are contiguous. */
static char *x_end, *q_end, *scale_end, *w_end, *bias_end, *y_end, *wq_end;
static float x[MOST], w[MOST], bias[RANDOM_SIDE], w_scale[RANDOM_SIDE], x_scale[RANDOM_SIDE];
static int8_t w_q[MOST], x_q[MOST];

/* The specification. */
static float scale_of(const float *row, size_t k, float *factor) {
  float largest = 0;
  for (size_t i = 0; i < k; i++) {
    if (!(fabsf(row[i]) <= __FLT_MAX__)) return *factor = 0, NAN;
    largest = fmaxf(largest, fabsf(row[i]));
  }
  *factor = largest < 0x1p-119f ? 0 : 127 / largest;
  return largest < 0x1p-119f ? 0 : largest / 127;
}

static void expect(size_t m, size_t n, size_t k) {
  float factor;
  for (size_t i = 0; i < m; i++) {
    x_scale[i] = scale_of(x + i * k, k, &factor);
    for (size_t p = 0; p < k; p++) x_q[i * k + p] = isnan(x_scale[i]) ? 0 : (int8_t)rintf(x[i * k + p] * factor);
  }
  for (size_t j = 0; j < n; j++) {
    w_scale[j] = scale_of(w + j * k, k, &factor);
    for (size_t p = 0; p < k; p++) w_q[j * k + p] = w_scale[j] > 0 ? (int8_t)rintf(w[j * k + p] / w_scale[j]) : 0;
  }
}

static float expected(size_t i, size_t j, size_t k, int has_bias) {
  int64_t sum = 0;
  for (size_t p = 0; p < k; p++) sum += x_q[i * k + p] * w_q[j * k + p];
  const float s = x_scale[i] * w_scale[j], y = (float)sum * s;
  return has_bias ? y + bias[j] : y;
}

static void draw_operands(size_t m, size_t n, size_t k, int largest) {
  for (size_t i = 0; i < m * k; i++) x[i] = largest ? (i / k % 2 ? 1.0f : -1.0f) : number() * ldexpf(1, (int)below(9) - 4);
  for (size_t i = 0; i < n * k; i++) w[i] = largest ? (i / k % 3 ? 1.0f : -1.0f) : number() * ldexpf(1, (int)below(9) - 4);
  for (size_t j = 0; j < n; j++) bias[j] = number();
  if (largest) return;
  for (size_t i = 0; i < m; i++) {
    const size_t kind = below(24);
    float *row = x + i * k;
    for (size_t p = 0; p < k; p++) {
      if (kind == 0) row[p] = 0;
      if (kind == 1) row[p] *= 0x1p-120f;
      if (kind == 2) row[p] = 1e38f * (p % 3 ? -1.0f : 1.0f);
      if (kind == 3) row[p] = (float)((int)below(509) - 254) / 2; /* ties, where 127 is the largest */
      if (kind == 4) row[p] *= 0x1p-110f;
    }
    if (kind == 3) row[below(k)] = 127;
    if (kind == 5) row[below(k)] = NAN;
    if (kind == 6) row[below(k)] = below(2) ? INFINITY : -INFINITY;
  }
  for (size_t j = 0; j < n; j++)
    if (!below(20))
      for (size_t p = 0; p < k; p++) w[j * k + p] = below(2) ? 0 : 1e-38f;
}

static float canary;

static int can_run(int set) { return nnc_cpu_has(sets[set].needed) && (sets[set].needed != NNC_ISA_AMX || nnc_tiles_permit()); }

static void check_product(int set, const nnc_int8_rows *rows, const nnc_int8_weight *packed, int has_bias, size_t first,
                          size_t last) {
  const size_t m = now.m, n = now.n, k = now.k, used = (m - 1) * now.ldy + n;
  float *y = (float *)y_end - used, *b = has_bias ? (float *)bias_end - n : NULL;
  if (b) memcpy(b, bias, n * sizeof *b);
  for (float *p = y - AROUND; p < y + used; p++) *p = canary;
  now.first = first;
  nnc_tiles_enter(sets[set].needed == NNC_ISA_AMX);
  sets[set].product(y, rows, packed, b, m, first, last, now.ldy);
  nnc_tiles_leave(sets[set].needed == NNC_ISA_AMX);
  if (planted == VALUE) y[first] += 1;
  if (planted == GAP && m > 1 && now.ldy > n) y[n] = 0;
  if (planted == BEHIND) y[used] = 0;
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < now.ldy && i * now.ldy + j < used; j++) {
      const float got = y[i * now.ldy + j], wanted = j < first || j >= last ? canary : expected(i, j, k, has_bias);
      if (memcmp(&got, &wanted, sizeof got) && !(j >= first && j < last && isnan(got) && isnan(wanted)))
        fail(j >= n ? "wrote between the rows" : "not the bits of the specification");
    }
  }
  for (float *p = y - AROUND; p < y; p++)
    if (memcmp(p, &canary, sizeof canary)) fail("wrote before the first row");
  cases++;
}

static void prove(size_t m, size_t n, size_t k, int largest) {
  now.m = m, now.n = n, now.k = k;
  draw_operands(m, n, k, largest);
  expect(m, n, k);
  for (int set = 0; set < SETS; set++) {
    if (!can_run(set)) continue;
    now.set = sets[set].name, now.ldx = k + below(3), now.ldy = n + below(3), now.first = 0;
    /* weights */
    float *given = (float *)wq_end - n * k;
    static int8_t found_q[MOST];
    static float found_scale[RANDOM_SIDE];
    memcpy(given, w, n * k * sizeof *w);
    if (sets[set].quantize_weight(found_q, found_scale, given, n, k) != n) fail("refused weights");
    if (memcmp(found_q, w_q, n * k) || memcmp(found_scale, w_scale, n * sizeof *w_scale))
      fail("not the weights of the specification");
    const size_t bytes = nnc_int8_whole(nnc_int8_bytes(k, n), 64);
    const nnc_int8_weight packed = nnc_int8_weight_at(w_end - bytes, k, n);
    memset(w_end - bytes, 0x7e, bytes);
    sets[set].pack(&packed, w_q, w_scale);
    memset(found_q, 0, n * k);
    sets[set].unpack(found_q, found_scale, &packed);
    if (memcmp(found_q, w_q, n * k) || memcmp(found_scale, w_scale, n * sizeof *w_scale)) fail("unpacked other weights");
    /* inputs */
    const size_t held = nnc_int8_whole(m, NNC_INT8_ROWS);
    const nnc_int8_rows rows = {(uint8_t *)q_end - held * nnc_int8_ld(k), (float *)scale_end - m, nnc_int8_ld(k)};
    memset(rows.at, 0x55, held * rows.ld);
    float *from = (float *)x_end - ((m - 1) * now.ldx + k);
    for (size_t i = 0; i < m; i++) memcpy(from + i * now.ldx, x + i * k, k * sizeof *x);
    sets[set].quantize(&rows, from, m, k, now.ldx);
    for (size_t i = 0; i < m; i++) {
      if (isnan(x_scale[i])) {
        if (!isnan(rows.scale[i])) fail("a scale of a row with NaN");
        continue;
      }
      if (rows.scale[i] != x_scale[i]) fail("not the scale of the specification");
      for (size_t p = 0; p < k; p++)
        if (rows.at[i * rows.ld + p] != x_q[i * k + p] + 128) fail("not the input of the specification");
      for (size_t p = k; p < nnc_int8_whole(k, NNC_INT8_LINE); p++)
        if (rows.at[i * rows.ld + p]) fail("padding that is not zero");
    }
    /* products */
    for (int has_bias = 0; has_bias < 2; has_bias++) {
      check_product(set, &rows, &packed, has_bias, 0, n);
      const size_t first = below((n + 15) / 16) * 16, last = first + (below((n - first + 15) / 16) + 1) * 16;
      check_product(set, &rows, &packed, has_bias, first, last < n ? last : n);
    }
  }
}

static void prove_refusals(void) {
  for (int set = 0; set < SETS; set++) {
    if (!can_run(set)) continue;
    now.set = sets[set].name;
    float values[] = {1, 2, 3, 4, 5, 6};
    int8_t q[6];
    float scale[3];
    for (int i = 0; i < 3; i++) {
      values[4] = i == 0 ? NAN : i == 1 ? INFINITY : -INFINITY;
      if (sets[set].quantize_weight(q, scale, values, 3, 2) != 2) fail("took a weight that is not finite");
    }
  }
}

static size_t some_size(void) { return 1 + (size_t)exp((double)(draw() >> 11) * 0x1p-53 * log(RANDOM_SIDE - 1)); }

static void *prove_all(void *unused) {
  catch_faults();
  canary = nanf("4711");
  const size_t most = 2 * MOST * sizeof(float) + PAGE;
  x_end = guarded(most).last, q_end = guarded(most).last, scale_end = guarded(most).last, w_end = guarded(most).last,
  bias_end = guarded(most).last, y_end = guarded(most).last, wq_end = guarded(most).last;
  const nnc_fpstate saved = nnc_fp_enter(); /* as in every call of the library */
  prove_refusals();
  for (long n = 1; n <= limit; n++)
    for (long k = 1; k <= limit; k++) prove(1 + below(MOST_ROWS), (size_t)n, (size_t)k, 0);
  for (size_t m = 1; m <= MOST_ROWS; m++)
    for (size_t n = 1; n <= 130; n += 1 + below(16)) prove(m, n, 1 + below(140), 0);
  for (long i = 0; i < random_shapes; i++) prove(1 + below(40), some_size(), some_size(), 0);
  prove(2, 3, NNC_INT8_LONGEST, 1);
  nnc_fp_leave(saved);
  printf("proved %zu products on", cases);
  for (int set = 0; set < SETS; set++)
    if (can_run(set)) printf(" %s", sets[set].name);
  printf("\n");
  return unused;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 1; i < argc; i += 2) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (!strcmp(argv[i], "--limit") && *value) limit = atol(value);
    else if (!strcmp(argv[i], "--random") && *value) random_shapes = atol(value);
    else if (!strcmp(argv[i], "--seed") && *value) seed = strtoull(value, NULL, 0) | 1;
    else if (!strcmp(argv[i], "--plant") && *value)
      for (planted = 1; planted < PLANTS && strcmp(plants[planted], value);) planted++;
    else planted = PLANTS;
    if (planted == PLANTS || limit < 0 || limit > RANDOM_SIDE) {
      fprintf(stderr, "usage: %s [--limit 70] [--random 2000] [--seed 1] [--plant value|gap|behind]\n", argv[0]);
      return 2;
    }
  }
  on_small_stack(prove_all);
  return 0;
}
