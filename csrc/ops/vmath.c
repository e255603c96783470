/* vmath.c: exp and log over arrays, so that tests and benchmarks can call vmath.h directly, and the peak rate of multiply-adds,
 * with which benchmarks compare the products. No op of a network uses them. */
#include "ops/op.h"
#include "ops/vmath.h"

void KERNEL(exp)(real *y, const real *x, size_t n) {
  size_t i = 0;
  for (; i + VL <= n; i += VL) vstore(y + i, vexp(vload(x + i)));
  if (i < n) vstore_n(y + i, vexp(vload_n(x + i, n - i)), n - i);
}

void KERNEL(log)(real *y, const real *x, size_t n) {
  size_t i = 0;
  for (; i + VL <= n; i += VL) vstore(y + i, vlog(vload(x + i)));
  if (i < n) vstore_n(y + i, vlog(vload_n(x + i, n - i)), n - i);
}

/* Enough chains that none waits for its own last result (latency times throughput is 8 to 10), and few enough for 16 registers. */
enum { CHAINS = 12 };

double KERNEL(multiply_adds)(real *sum, size_t rounds) {
  vec acc[CHAINS], scale = vset1((real)0.5), shift = vset1(1);
#pragma GCC unroll 12
  for (size_t i = 0; i < CHAINS; i++) acc[i] = vset1((real)i);
  for (size_t rest = rounds; rest; rest--) {
#pragma GCC unroll 12
    for (size_t i = 0; i < CHAINS; i++) acc[i] = vfma(acc[i], scale, shift);
  }
  for (size_t i = 1; i < CHAINS; i++) acc[0] += acc[i];
  *sum = vsum_all(acc[0])[0];
  return 2.0 * CHAINS * VL * (double)rounds;
}
