/* cosine.c: minus the cosine of the angle between prediction and target, for each row (Keras).
 *
 *   cosine_similarity   -u . v, u = z / |z|, v = t / |t|      -(v - (u . v) u) / |z|
 *
 * A length below 1e-6 counts as 1e-6, as in Keras, and its slope is then 0: the loss of a row of zeros is 0.
 */
#include "ops/losses/losses.h"

void KERNEL(cosine_similarity)(NNC_LOSS_PARAMETERS) {
  const vec least = vset1((real)1e-12);
  for (size_t r = 0; r < rows; r++) {
    const real *zr = z + r * ld, *tr = target + r * ldt, w = weight ? weight[r] : 1;
    row_sum squares = {0}, squares_of_target = {0}, products = {0};
    for (size_t j = 0; j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec a = loss_load(zr + j, n), b = loss_load(tr + j, n);
      squares = sum_add(squares, a * a);
      squares_of_target = sum_add(squares_of_target, b * b);
      products = sum_add(products, a * b);
    }
    const vec zz = sum_total(squares), tt = sum_total(squares_of_target);
    const vec of_z = (real)1 / vsqrt(vmax(least, zz)), of_t = (real)1 / vsqrt(vmax(least, tt));
    const vec cosine = sum_total(products) * of_z * of_t, along = vselect(zz < least, vset1(0), cosine * of_z);
    row_loss[r] = w * -cosine[0];
    for (size_t j = 0; grad && j < cols; j += VL) {
      const size_t n = loss_lanes(cols - j);
      const vec slope = (loss_load(zr + j, n) * along - loss_load(tr + j, n) * of_t) * of_z;
      loss_store(grad + r * ld + j, vset1(w * (real)scale) * slope, n);
    }
  }
}
