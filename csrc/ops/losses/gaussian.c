/* gaussian.c: the negative log-likelihood of a normal distribution whose mean and variance are predicted (Nix and Weigend 1994).
 *
 * A row has k means, then k variances v or, with log_variance, their logarithms s; the target has k columns. With d = mean - t:
 *
 *   loss       1/k sum (log v + d^2 / v) / 2, plus log(2 pi) / 2 if full
 *   mean       d / v / k
 *   variance   (1 / v - d^2 / v^2) / 2 / k;  by s: (1 - d^2 / v) / 2 / k
 *
 * v below eps counts as eps (s as log eps), but the slope is not 0 there, as in PyTorch: an output that is certain and wrong must
 * still be able to learn.
 */
#include <math.h>

#include "ops/losses/losses.h"
#include "ops/vmath.h"

void KERNEL(gaussian_nll)(NNC_LOSS_PARAMETERS) {
  const size_t k = cols / 2;
  const int is_log = attr[2] != 0;
  const vec eps = vset1((real)attr[0]), least = is_log ? vlog(eps) : eps,
            constant = vset1(attr[1] != 0 ? (real)0.91893853320467274178 : 0);
  for (size_t r = 0; r < rows; r++) {
    const real w = weight ? weight[r] : 1;
    const vec factor = vset1(w * (real)(scale / (double)k));
    row_sum sum = {0};
    for (size_t j = 0; j < k; j += VL) {
      const size_t n = loss_lanes(k - j);
      const vec d = loss_load(z + r * ld + j, n) - loss_load(target + r * ldt + j, n);
      const vec given = vmax(least, loss_load(z + r * ld + k + j, n));
      const vec precision = is_log ? vexp(-given) : (real)1 / given, log_variance = is_log ? given : vlog(given);
      const vec square = d * d * precision;
      sum = sum_add(sum, loss_keep((real)0.5 * (log_variance + square) + constant, n, 0));
      if (!grad) continue;
      const vec slope = (real)0.5 * ((real)1 - square);
      loss_store(grad + r * ld + j, factor * d * precision, n);
      loss_store(grad + r * ld + k + j, factor * (is_log ? slope : slope * precision), n);
    }
    row_loss[r] = w * (sum_total(sum)[0] / (real)k);
  }
}
