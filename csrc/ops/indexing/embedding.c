/* embedding.c: rows of a table, chosen by index.
 *
 *   y[k, :] = table[x[k], :]      dtable[i, :] = sum over the k with x[k] = i of dy[k, :]
 *
 * Indices are numbers of the network's type; the k-th is x[k / cols * ldx + k % cols]. They are checked when the data are bound. An
 * invalid one nevertheless reads row 0 and gets no gradient, so that only the table's memory is accessed. dtable is dense: each row
 * is one chain in increasing k, whatever range of rows a call covers. Row `padding` gets zeros (negative: there is none).
 */
#include "ops/op.h"

/* The index x, or `rows` if it is invalid. x may be in the caller's memory, where other threads may write; it is read only once. */
static size_t index_of(const real *from, size_t rows) {
  const real x = *(const volatile real *)from;
  return x >= 0 && x < (real)rows ? (size_t)x : rows;
}

void KERNEL(embedding_forward)(real *y, const real *x, const real *table, size_t rows, size_t cols, size_t ldy, size_t ldx,
                               size_t table_rows, size_t dim, size_t ldtable) {
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < cols; j++, y += ldy) {
      const size_t index = index_of(&x[i * ldx + j], table_rows);
      memcpy(y, table + (index < table_rows ? index : 0) * ldtable, dim * sizeof(real));
    }
}

void KERNEL(embedding_gradient)(real *dtable, const real *x, const real *dy, size_t rows, size_t cols, size_t ldx, size_t lddy,
                                size_t first, size_t last, size_t dim, size_t ldtable, int64_t padding) {
  for (size_t i = first; i < last; i++) memset(dtable + i * ldtable, 0, dim * sizeof(real));
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < cols; j++, dy += lddy) {
      const size_t index = index_of(&x[i * ldx + j], last);
      if (index < first || index >= last || (padding >= 0 && index == (size_t)padding)) continue;
      real *to = dtable + index * ldtable;
      size_t d = 0;
      for (; d + VL <= dim; d += VL) vstore(to + d, vload(to + d) + vload(dy + d));
      if (d < dim) vstore_n(to + d, vload_n(to + d, dim - d) + vload_n(dy + d, dim - d), dim - d);
    }
}
