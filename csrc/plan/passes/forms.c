/* forms.c: which ops compute their products in bfloat16, and where the operands of those lie (ops/low_kernels.h).
 *
 * A linear layer reads three matrices as operands, each in two forms: its input as A (forward) and A^T (gradient of the weight; without
 * tiles, this reads A as well), the gradient of its result as A (gradient of the input) and B (gradient of the weight), and its weight as
 * B (forward) and B^T.
 *
 * Each form is written once, by whoever has the numbers in registers: the layer before writes those of its result, and the layer
 * behind those of the gradient that it passes on, after the derivative of relu. Float32 rows are written only if something else reads
 * them. Otherwise the first layer that reads a value writes the forms of it, from its rows. The bits are the same. */
#include "base/sizes.h"
#include "ops/low_kernels.h"
#include "plan/plan.h"

static int driver_of(const nnc_plan *plan, const nnc_op *op) {
  const struct nnc_linear_sizes *size = &op->spec.size.linear;
  if (plan->compute != NNC_COMPUTE_BF16 || op->spec.kind != NNC_LAYER_linear) return op->spec.kind;
  return nnc_is_large((size_t)size->in_features, (size_t)size->out_features) ? NNC_DRIVER_LINEAR_BF16 : op->spec.kind;
}

/* The value of which this one is a view with the same lines, or itself. Only views are skipped and still produce a value. */
static int behind_view(const nnc_plan *plan, int value) {
  const nnc_value *shown = &plan->value[value];
  for (;;) {
    const nnc_value *v = &plan->value[value];
    if (v->producer == NNC_NONE || !plan->op[v->producer].skipped) return value;
    const int before = plan->op[v->producer].spec.input[0];
    const nnc_value *in = &plan->value[before];
    if (in->lines != shown->lines || in->cols != shown->cols || in->ld != shown->ld) return value;
    value = before;
  }
}

static int mode; /* for tests: NNC_OPERANDS_... */

void nnc_force_operand_mode(int wanted) { mode = wanted; }

/* The layer in bfloat16 whose product gives a value, perhaps followed by relu, or NULL. It can write the forms of the value. */
static nnc_op *producer_of(const nnc_plan *plan, int value) {
  const int producer = plan->value[value].producer;
  nnc_op *op = producer == NNC_NONE ? NULL : &plan->op[producer];
  if (!op || op->driver != NNC_DRIVER_LINEAR_BF16 || op->out != value || mode == NNC_OPERANDS_SEPARATE) return NULL;
  return op->epilogue == NNC_NONE || op->epilogue == NNC_ACTIVATION_relu ? op : NULL;
}

/* How often the memory of each value is read, by ops and by users; and of these, how often as float32 rows. */
static void count_readers(const nnc_plan *plan, int *readers, int *of_rows) {
  for (int i = 0; i < plan->n_ops; i++) {
    const nnc_op *op = &plan->op[i];
    for (int j = 0; j < op->spec.n_inputs && !op->skipped; j++) {
      const int root = plan->value[op->spec.input[j]].alias;
      readers[root]++;
      of_rows[root] += op->driver != NNC_DRIVER_LINEAR_BF16 || !producer_of(plan, op->operand);
    }
  }
  for (int i = 0; i < plan->n_outputs; i++) {
    readers[plan->value[plan->output[i]].alias]++;
    of_rows[plan->value[plan->output[i]].alias]++;
  }
}

nnc_status nnc_choose_writers(nnc_plan *plan, nnc_error *error) {
  if (!plan->n_bf16) return NNC_OK;
  int *readers = nnc_alloc(2 * (size_t)plan->n_values * sizeof *readers), *of_rows = readers + plan->n_values;
  if (!readers) return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for the operands of %d layers", plan->n_ops);
  count_readers(plan, readers, of_rows);
  for (int i = 0; i < plan->n_ops; i++) {
    nnc_op *op = &plan->op[i];
    nnc_op *before = op->driver == NNC_DRIVER_LINEAR_BF16 ? producer_of(plan, op->operand) : NULL;
    if (!before) continue;
    const int root = plan->value[before->out].alias;
    before->writes_forms = 1;
    op->packs = 0;
    op->before = readers[root] == 1 ? (int)(before - plan->op) : NNC_NONE;
    before->has_dz = op->before != NNC_NONE;
    before->no_rows = !of_rows[root] && (before->has_dz || before->epilogue == NNC_NONE);
  }
  nnc_free(readers);
  return NNC_OK;
}

void nnc_choose_drivers(nnc_plan *plan) {
  plan->operand_mode = mode;
  for (int i = 0; i < plan->n_ops; i++) {
    nnc_op *op = &plan->op[i];
    op->driver = driver_of(plan, op);
    op->before = NNC_NONE;
    if (op->driver != NNC_DRIVER_LINEAR_BF16) continue;
    plan->n_bf16++;
    op->operand = behind_view(plan, op->spec.input[0]);
    op->packs = !plan->value[op->operand].is_operand;
    plan->value[op->operand].is_operand = 1;
  }
}

/* A linear layer in bfloat16 that has its own parameters. */
static int has_weight(const nnc_op *op) { return op->driver == NNC_DRIVER_LINEAR_BF16 && op->spec.shares == NNC_NONE; }

static int count_blocks(size_t *n, size_t rows, size_t cols) { return nnc_mul(n, nnc_bf16_blocks(rows), nnc_bf16_blocks(cols)); }

nnc_status nnc_layout_forms(nnc_plan *plan, nnc_error *error) {
  for (int i = 0; i < plan->n_ops; i++) {
    const nnc_op *op = &plan->op[i];
    size_t n;
    if (!has_weight(op)) continue;
    nnc_parameter *w = &plan->param[op->param[0]];
    w->packed = plan->weight_blocks;
    if (count_blocks(&n, w->layout.rows, w->layout.cols) || nnc_add(&plan->weight_blocks, plan->weight_blocks, n) ||
        nnc_mul(&n, plan->weight_blocks, 2 * NNC_BF16_BLOCK * sizeof(nnc_bf16)))
      return nnc_fail(error, NNC_ERROR_SIZE, "%s: the weights are larger than the address space", op->spec.name);
  }
  return NNC_OK;
}

/* Memory for two forms of a matrix, or one. */
static int take_forms(size_t *total, size_t *first, size_t *second, size_t rows, size_t cols) {
  size_t n;
  return count_blocks(&n, rows, cols) || nnc_mul(&n, n, NNC_BF16_BLOCK) || nnc_arena_take(total, first, n, sizeof(nnc_bf16)) ||
         (second && nnc_arena_take(total, second, n, sizeof(nnc_bf16)));
}

int nnc_reserve_forms(nnc_plan *plan, size_t rows, size_t *total) {
  for (int v = 0; v < plan->n_values; v++) {
    nnc_value *value = &plan->value[v];
    size_t lines;
    if (value->is_operand &&
        (nnc_mul(&lines, rows, value->lines) ||
         take_forms(total, &value->left, nnc_plan_has_tiles(plan) ? &value->left_t : NULL, lines, value->cols)))
      return 1;
  }
  for (int i = 0; i < plan->n_ops; i++) {
    nnc_op *op = &plan->op[i];
    if (op->driver != NNC_DRIVER_LINEAR_BF16) continue;
    const nnc_value *out = &plan->value[op->out];
    size_t lines;
    if (nnc_mul(&lines, rows, out->lines) || take_forms(total, &op->dz_left, &op->dz_right, lines, out->cols)) return 1;
    if (op->has_dz && nnc_arena_take(total, &op->dz_sums, nnc_bf16_blocks(lines) * out->cols, sizeof(float))) return 1;
    nnc_parameter *w = &plan->param[op->param[0]];
    if (has_weight(op) && take_forms(total, &w->right, &w->right_t, w->layout.rows, w->layout.cols)) return 1;
  }
  return 0;
}

size_t nnc_operand_bytes(const nnc_plan *plan, const nnc_op *op) {
  enum { ONE = sizeof(nnc_bf16) * NNC_BF16_SIDE };
  if (op->driver != NNC_DRIVER_LINEAR_BF16) return 0;
  const nnc_value *in = &plan->value[op->operand], *out = &plan->value[op->out];
  const size_t of_input = op->packs ? (nnc_plan_has_tiles(plan) ? 2 : 1) * in->lines * nnc_bf16_blocks(in->cols) : 0;
  return ONE * (of_input + 2 * out->lines * nnc_bf16_blocks(out->cols));
}

int nnc_operand_memory(const nnc_plan *plan, size_t rows, size_t *bytes) {
  *bytes = 0;
  if (!plan->n_bf16) return 0;
  for (int i = 0; i < plan->n_ops; i++) {
    const nnc_op *op = &plan->op[i];
    const nnc_value *in = &plan->value[op->spec.input[0]];
    size_t n;
    if (op->driver != NNC_DRIVER_LINEAR_BF16) continue;
    if (nnc_mul(&n, rows, in->lines) || count_blocks(&n, n, in->cols) || nnc_mul(&n, n, NNC_BF16_BLOCK * sizeof(nnc_bf16)))
      return 1;
    if (n > *bytes) *bytes = n;
  }
  return 0;
}
