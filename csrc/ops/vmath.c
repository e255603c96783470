/* vmath.c: exp and log over arrays, by which tests and benchmarks reach vmath.h directly. No op of a network uses them. */
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
