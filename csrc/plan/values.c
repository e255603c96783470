/* values.c: common functions of the passes: the size of a value and the text of its shape, adding a parameter to the plan, and
 * setting an error. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sizes.h"
#include "plan/int8.h"
#include "plan/plan.h"

nnc_status nnc_fail(nnc_error *error, nnc_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  error->status = status;
  vsnprintf(error->message, sizeof error->message, format, args);
  va_end(args);
  return status;
}

const char *nnc_shape_text(char *buffer, size_t size, const nnc_shape *shape) {
  size_t used = (size_t)snprintf(buffer, size, "[*");
  for (int d = 0; d < shape->rank && used < size; d++) used += (size_t)snprintf(buffer + used, size - used, ", %zu", shape->dim[d]);
  if (used < size) snprintf(buffer + used, size - used, "]");
  return buffer;
}

size_t nnc_value_elements(const nnc_value *value) { return value->lines * value->ld; }

/* Rows of 1 KB and more are an odd number of cache lines apart. Otherwise a thread that processes half of the columns would find
 * them in half of the sets of its second-level cache. */
static int weight_leading_dim(size_t *ld, size_t cols, size_t element) {
  const size_t line = NNC_ALIGNMENT / element;
  if (nnc_leading_dim(ld, cols, element)) return 1;
  return *ld >= 16 * line && *ld / line % 2 == 0 && nnc_add(ld, *ld, line);
}

static int place_param(nnc_plan *plan, nnc_parameter *p, size_t *total) {
  if (weight_leading_dim(&p->layout.ld, p->layout.cols, plan->element)) return 1;
  if (nnc_mul(&p->elements, p->layout.rows, p->layout.ld) || nnc_round_up(&p->elements, p->elements, plan->element)) return 1;
  p->options = (nnc_param_options){.trainable = 1, .lr_scale = 1};
  return nnc_arena_take(total, &p->layout.offset, p->elements, plan->element);
}

int nnc_add_weight(nnc_plan *plan, int i, int slot, nnc_param layout, int is_packed, size_t *total) {
  if (!is_packed) return nnc_add_param(plan, i, slot, layout, total);
  size_t n;
  layout.packed_rows = layout.rows;
  layout.packed_cols = layout.cols;
  if (nnc_mul(&n, layout.rows + NNC_INT8_GROUP, layout.cols + NNC_INT8_COLUMNS)) return 1;
  layout.cols = (nnc_int8_bytes(layout.rows, layout.cols) + plan->element - 1) / plan->element;
  layout.rows = layout.vector = 1;
  layout.transposed = 0;
  return nnc_add_param(plan, i, slot, layout, total);
}

int nnc_add_param(nnc_plan *plan, int i, int slot, nnc_param layout, size_t *total) {
  nnc_parameter *p = &plan->param[plan->op[i].param[slot] = plan->n_params++];
  p->layout = layout;
  p->layout.op = i;
  return place_param(plan, p, total);
}
