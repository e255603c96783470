/* shapes.c: the output shape of each kind of op, and the inputs that it rejects. */
#include <string.h>

#include "base/sizes.h"
#include "plan/plan.h"

/* The name of the op that computes a value, for messages. */
static const char *origin(const nnc_plan *plan, int value) {
  const int producer = plan->value[value].producer;
  return producer == NNC_NONE ? "the input" : plan->op[producer].spec.name;
}

static nnc_status infer_linear(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  const int64_t fan_in = op->spec.size.linear.in_features, fan_out = op->spec.size.linear.out_features;
  size_t weights;
  if (fan_in < 1 || fan_out < 1)
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: in_features=%lld and out_features=%lld must be at least 1", op->spec.name,
                    (long long)fan_in, (long long)fan_out);
  if (nnc_mul(&weights, (size_t)fan_in, (size_t)fan_out) || nnc_mul(&weights, weights, plan->element))
    return nnc_fail(error, NNC_ERROR_SIZE, "%s: a weight of %lld x %lld is larger than the address space", op->spec.name,
                    (long long)fan_out, (long long)fan_in);
  if (in->rank < 1 || in->dim[in->rank - 1] != (size_t)fan_in) {
    char got[160], want[64];
    const nnc_shape expected = {1, {(size_t)fan_in}};
    return nnc_fail(error, NNC_ERROR_SHAPE,
                    "%s expects input of shape %s but gets %s from %s; set in_features=%zu there, or change what comes before",
                    op->spec.name, nnc_shape_text(want, sizeof want, &expected), nnc_shape_text(got, sizeof got, in),
                    origin(plan, op->spec.input[0]), in->rank ? in->dim[in->rank - 1] : 1);
  }
  plan->value[op->out].shape = *in;
  plan->value[op->out].shape.dim[in->rank - 1] = (size_t)fan_out;
  return NNC_OK;
}

static nnc_status infer_same(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  (void)error;
  plan->value[op->out].shape = plan->value[op->spec.input[0]].shape;
  return NNC_OK;
}

static nnc_status infer_activation(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  if (op->spec.code < 0 || op->spec.code >= NNC_ACTIVATION_COUNT)
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: unknown activation %d", op->spec.name, op->spec.code);
  return infer_same(plan, op, error);
}

static nnc_status infer_dropout(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const double p = op->spec.attr.dropout.p;
  if (!(p >= 0 && p <= 1))
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: p=%g is not a probability between 0 and 1", op->spec.name, p);
  return infer_same(plan, op, error);
}

/* Dimensions are counted as in PyTorch, with the batch as 0: start_dim to end_dim become one. */
static nnc_status infer_flatten(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  nnc_shape *out = &plan->value[op->out].shape;
  const int64_t rank = in->rank + 1;
  const struct nnc_flatten_sizes *size = &op->spec.size.flatten;
  const int64_t start = size->start_dim < 0 ? size->start_dim + rank : size->start_dim;
  const int64_t end = size->end_dim < 0 ? size->end_dim + rank : size->end_dim;
  if (start == 1 && end == 0 && !in->rank) { /* a batch of scalars becomes [*, 1] */
    *out = (nnc_shape){1, {1}};
    return NNC_OK;
  }
  if (start < 1 || end >= rank || start > end) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE,
                    "%s: start_dim=%lld and end_dim=%lld do not name a range of the dimensions of %s after the batch",
                    op->spec.name, (long long)size->start_dim, (long long)size->end_dim, nnc_shape_text(got, sizeof got, in));
  }
  *out = (nnc_shape){0, {0}};
  size_t merged = 1;
  for (int64_t d = 1; d < rank; d++) {
    if (d >= start && d <= end && nnc_mul(&merged, merged, in->dim[d - 1]))
      return nnc_fail(error, NNC_ERROR_SIZE, "%s: the flattened dimension overflows", op->spec.name);
    if (d < start || d > end) out->dim[out->rank++] = in->dim[d - 1];
    if (d == end) out->dim[out->rank++] = merged;
  }
  return NNC_OK;
}

static nnc_status infer_batch_norm(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  const int64_t channels = op->spec.size.batch_norm.num_features;
  const double eps = op->spec.attr.batch_norm.eps, momentum = op->spec.attr.batch_norm.momentum;
  if (!(eps >= 0) || !(momentum <= 1))
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: eps=%g must not be negative and momentum=%g at most 1", op->spec.name, eps,
                    momentum);
  const int is_last = op->spec.size.batch_norm.features_last != 0;
  if (is_last && (channels < 1 || in->rank < 1 || in->dim[in->rank - 1] != (size_t)channels)) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s expects input whose last dimension is %lld (axis=-1) but gets %s from %s",
                    op->spec.name, (long long)channels, nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]));
  }
  if (!is_last && (channels < 1 || in->rank < 1 || in->rank > 2 || in->dim[0] != (size_t)channels)) {
    char got[160];
    const int fits_last = in->rank > 1 && in->dim[in->rank - 1] == (size_t)channels;
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s expects input of shape [*, %lld] or [*, %lld, length] but gets %s from %s%s",
                    op->spec.name, (long long)channels, (long long)channels, nnc_shape_text(got, sizeof got, in),
                    origin(plan, op->spec.input[0]), fits_last ? "; for [*, time, features], use axis=-1" : "");
  }
  op->whole_batch = !op->spec.size.batch_norm.track_running_stats;
  plan->whole_batch |= op->whole_batch;
  return infer_same(plan, op, error);
}

static int same_shape(const nnc_shape *a, const nnc_shape *b) {
  return a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

/* Dimension d counted from the end; 1 if it is missing. */
static size_t from_end(const nnc_shape *shape, int d) { return d < shape->rank ? shape->dim[shape->rank - 1 - d] : 1; }

/* Dimensions of size 1, and missing leading ones, are broadcast to those of the other inputs. */
static nnc_status infer_add(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  nnc_shape out = plan->value[op->spec.input[0]].shape;
  for (int j = 1; j < op->spec.n_inputs; j++) {
    const nnc_shape *other = &plan->value[op->spec.input[j]].shape, before = out;
    out.rank = before.rank > other->rank ? before.rank : other->rank;
    for (int d = 0; d < out.rank; d++) {
      const size_t one = from_end(&before, d), two = from_end(other, d);
      if (one != two && one != 1 && two != 1) {
        char first[160], second[160];
        return nnc_fail(
            error, NNC_ERROR_SHAPE,
            "%s: its inputs must have one shape, or 1 where they differ, but are %s from %s and %s from %s; a Reshape or "
            "a Linear makes them fit",
            op->spec.name, nnc_shape_text(first, sizeof first, &before), j > 1 ? "those before" : origin(plan, op->spec.input[0]),
            nnc_shape_text(second, sizeof second, other), origin(plan, op->spec.input[j]));
      }
      out.dim[out.rank - 1 - d] = one == 1 ? two : one;
    }
  }
  plan->value[op->out].shape = out;
  return NNC_OK;
}

static nnc_status infer_pair(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  if (op->spec.n_inputs != 2)
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: takes two inputs, not %d", op->spec.name, op->spec.n_inputs);
  return infer_add(plan, op, error);
}

static nnc_status infer_multiply(nnc_plan *plan, nnc_op *op, nnc_error *error) { return infer_pair(plan, op, error); }
static nnc_status infer_maximum(nnc_plan *plan, nnc_op *op, nnc_error *error) { return infer_pair(plan, op, error); }

/* axis is the dimension along which the inputs are joined, counted as in PyTorch, with the batch as 0. */
static nnc_status infer_concat(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *first = &plan->value[op->spec.input[0]].shape;
  nnc_shape *out = &plan->value[op->out].shape;
  const int64_t given = op->spec.size.concat.axis, axis = given < 0 ? given + first->rank : given - 1;
  if (axis < 0 || axis >= first->rank) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s: axis=%lld does not name a dimension of %s after the batch", op->spec.name,
                    (long long)given, nnc_shape_text(got, sizeof got, first));
  }
  *out = *first;
  for (int j = 1; j < op->spec.n_inputs; j++) {
    nnc_shape other = plan->value[op->spec.input[j]].shape;
    const size_t added = axis < other.rank ? other.dim[axis] : 0;
    if (axis < other.rank) other.dim[axis] = first->dim[axis];
    if (!same_shape(first, &other)) {
      char one[160], two[160];
      return nnc_fail(error, NNC_ERROR_SHAPE,
                      "%s: its inputs must agree in all dimensions but axis %lld, but are %s from %s and %s from %s", op->spec.name,
                      (long long)given, nnc_shape_text(one, sizeof one, first), origin(plan, op->spec.input[0]),
                      nnc_shape_text(two, sizeof two, &plan->value[op->spec.input[j]].shape), origin(plan, op->spec.input[j]));
    }
    if (nnc_add(&out->dim[axis], out->dim[axis], added))
      return nnc_fail(error, NNC_ERROR_SIZE, "%s: the joined dimension overflows", op->spec.name);
  }
  return NNC_OK;
}

/* The dimensions after time. */
static nnc_status infer_pool(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  nnc_shape *out = &plan->value[op->out].shape;
  const int64_t mode = op->spec.size.pool.mode;
  if (mode < 0 || mode >= NNC_POOL_COUNT)
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: unknown pooling %lld", op->spec.name, (long long)mode);
  if (in->rank < 2) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s expects sequences [*, time, features] but gets %s from %s", op->spec.name,
                    nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]));
  }
  *out = (nnc_shape){in->rank - 1, {0}};
  memcpy(out->dim, in->dim + 1, (size_t)out->rank * sizeof *out->dim);
  return NNC_OK;
}

static nnc_status infer_recurrent(nnc_plan *plan, nnc_op *op, nnc_error *error) { return nnc_infer_recurrent(plan, op, error); }
static nnc_status infer_state(nnc_plan *plan, nnc_op *op, nnc_error *error) { return nnc_infer_state(plan, op, error); }

static nnc_status infer_python(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  nnc_shape inputs[NNC_MAX_INPUTS], *out = &plan->value[op->out].shape;
  const nnc_caller *caller = &plan->caller;
  for (int j = 0; j < op->spec.n_inputs; j++) inputs[j] = plan->value[op->spec.input[j]].shape;
  if (!caller->shape || caller->shape(caller->context, (int)(op - plan->op), inputs, op->spec.n_inputs, out))
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: nobody says what it computes", op->spec.name);
  for (int d = 0; d < out->rank; d++)
    if (!out->dim[d]) return nnc_fail(error, NNC_ERROR_SHAPE, "%s: dimension %d of its result has size 0", op->spec.name, d);
  return NNC_OK;
}

nnc_param nnc_python_param(const nnc_plan *plan, const nnc_op *op, int slot) {
  nnc_param param = {0};
  const nnc_caller *caller = &plan->caller;
  if (op->spec.kind != NNC_LAYER_python || caller->param(caller->context, (int)(op - plan->op), slot, &param)) param.cols = 0;
  return param;
}

/* The sizes are the new dimensions after the batch, up to the first 0; one may be -1. */
static nnc_status infer_reshape(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  nnc_shape *out = &plan->value[op->out].shape;
  size_t have = 1, want = 1;
  int open = NNC_NONE, overflow = 0;
  for (int d = 0; d < in->rank; d++) overflow |= nnc_mul(&have, have, in->dim[d]);
  *out = (nnc_shape){0, {0}};
  const int64_t *dims = op->spec.size.reshape.dims;
  for (int d = 0; d < NNC_MAX_RANK && dims[d]; d++) {
    const int64_t size = dims[d];
    if (size < -1 || (size == -1 && open != NNC_NONE))
      return nnc_fail(error, NNC_ERROR_VALUE, "%s: dimensions are whole numbers of at least 1, and one of them may be -1",
                      op->spec.name);
    if (size == -1) open = d;
    else overflow |= nnc_mul(&want, want, (size_t)size);
    out->dim[out->rank++] = size == -1 ? 1 : (size_t)size;
  }
  if (!overflow && open != NNC_NONE && have % want == 0) {
    out->dim[open] = have / want;
    want = have;
  }
  if (overflow || want != have) {
    char got[160], wanted[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s cannot turn %s from %s into %s%s: the one has %zu numbers, the other %zu",
                    op->spec.name, nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]),
                    nnc_shape_text(wanted, sizeof wanted, out), open == NNC_NONE ? "" : " (1 standing for -1)", have, want);
  }
  return NNC_OK;
}

int nnc_norm_rank(const nnc_op *op) {
  const struct nnc_layer_norm_sizes *size = &op->spec.size.layer_norm;
  int rank = 0;
  while (rank < (int)(sizeof size->normalized_shape / sizeof *size->normalized_shape) && size->normalized_shape[rank]) rank++;
  return rank;
}

size_t nnc_norm_size(const nnc_op *op) {
  size_t size = 1;
  for (int d = nnc_norm_rank(op) - 1; d >= 0; d--) size *= (size_t)op->spec.size.layer_norm.normalized_shape[d];
  return size;
}

size_t nnc_norm_groups(const nnc_plan *plan, const nnc_op *op) {
  const nnc_value *v = &plan->value[op->out];
  return v->lines * v->cols / nnc_norm_size(op);
}

/* The dimensions that are normalised over are the last ones. */
static nnc_status infer_layer_norm(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  nnc_shape wanted = {0, {0}};
  int fits = 1;
  const double eps = op->spec.attr.layer_norm.eps;
  if (!(eps >= 0)) return nnc_fail(error, NNC_ERROR_VALUE, "%s: eps=%g must not be negative", op->spec.name, eps);
  for (int rank = nnc_norm_rank(op); wanted.rank < rank; wanted.rank++) {
    const int64_t size = op->spec.size.layer_norm.normalized_shape[wanted.rank];
    if (size < 1) return nnc_fail(error, NNC_ERROR_VALUE, "%s: dimensions must be at least 1", op->spec.name);
    wanted.dim[wanted.rank] = (size_t)size;
  }
  for (int d = 0; d < wanted.rank; d++) fits &= in->rank >= wanted.rank && in->dim[in->rank - wanted.rank + d] == wanted.dim[d];
  if (!fits || !wanted.rank) {
    char got[160], want[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s expects input whose last dimensions are %s but gets %s from %s", op->spec.name,
                    nnc_shape_text(want, sizeof want, &wanted), nnc_shape_text(got, sizeof got, in),
                    origin(plan, op->spec.input[0]));
  }
  return infer_same(plan, op, error);
}

static nnc_status infer_gaussian_noise(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const double stddev = op->spec.attr.gaussian_noise.stddev;
  if (!(stddev >= 0)) return nnc_fail(error, NNC_ERROR_VALUE, "%s: stddev=%g must not be negative", op->spec.name, stddev);
  return infer_same(plan, op, error);
}

static nnc_status infer_prelu(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  const int64_t slopes = op->spec.size.prelu.num_parameters;
  if (slopes < 1 || (slopes > 1 && (!in->rank || in->dim[0] != (size_t)slopes))) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE,
                    "%s: num_parameters=%lld must be 1 or the number of channels, but the input from %s is %s", op->spec.name,
                    (long long)slopes, origin(plan, op->spec.input[0]), nnc_shape_text(got, sizeof got, in));
  }
  return infer_same(plan, op, error);
}

static nnc_status infer_maxout(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  const int64_t pieces = op->spec.size.maxout.pieces;
  if (pieces < 1 || !in->rank || in->dim[in->rank - 1] % (size_t)pieces) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s: the last dimension of %s from %s is no whole number of times pieces=%lld",
                    op->spec.name, nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]), (long long)pieces);
  }
  plan->value[op->out].shape = *in;
  plan->value[op->out].shape.dim[in->rank - 1] /= (size_t)pieces;
  return NNC_OK;
}

/* The halves of the last dimension: values and gates. */
static nnc_status infer_glu(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  if (!in->rank || in->dim[in->rank - 1] % 2) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s: halves the last dimension, which must be even, but gets %s from %s", op->spec.name,
                    nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]));
  }
  plan->value[op->out].shape = *in;
  plan->value[op->out].shape.dim[in->rank - 1] /= 2;
  return NNC_OK;
}

/* dims[k] is the dimension of the input that becomes the k-th after the batch, which is dimension 0. */
static nnc_status infer_permute(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  const int64_t *dims = op->spec.size.permute.dims;
  int seen[NNC_MAX_RANK + 1] = {0}, rank = 0, fits = 1;
  for (; rank < NNC_MAX_RANK && dims[rank]; rank++) {
    const int known = dims[rank] >= 1 && dims[rank] <= in->rank;
    fits &= known && !seen[known ? dims[rank] : 0];
    seen[known ? dims[rank] : 0] = 1;
  }
  if (!fits || rank != in->rank || !rank) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s: its dims must name each dimension of %s from %s after the batch once, 1 to %d",
                    op->spec.name, nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]), in->rank);
  }
  nnc_shape *out = &plan->value[op->out].shape;
  out->rank = rank;
  for (int d = 0; d < rank; d++) out->dim[d] = in->dim[dims[d] - 1];
  return NNC_OK;
}

static nnc_status infer_repeat_vector(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  const int64_t n = op->spec.size.repeat_vector.n;
  size_t numbers;
  if (n < 1) return nnc_fail(error, NNC_ERROR_VALUE, "%s: n=%lld must be at least 1", op->spec.name, (long long)n);
  if (in->rank != 1) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s repeats vectors, [*, features], but gets %s from %s", op->spec.name,
                    nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]));
  }
  if (nnc_mul(&numbers, (size_t)n, in->dim[0]) || nnc_mul(&numbers, numbers, plan->element))
    return nnc_fail(error, NNC_ERROR_SIZE, "%s: %lld copies are larger than the address space", op->spec.name, (long long)n);
  plan->value[op->out].shape = (nnc_shape){2, {(size_t)n, in->dim[0]}};
  return NNC_OK;
}

/* Python's rule: negative numbers count from the end, and what lies beyond an end of the dimension means that end. */
static int64_t bounded(int64_t at, int64_t size, int backwards) {
  if (at < 0) return at < -size ? -backwards : at + size;
  return at < size ? at : size - backwards;
}

nnc_section nnc_section_of(const nnc_plan *plan, const nnc_op *op) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  const struct nnc_slice_sizes *slice = &op->spec.size.slice; /* a take begins with its axis, too */
  const int64_t axis = slice->axis < 0 ? slice->axis + in->rank : slice->axis - 1;
  if (axis < 0 || axis >= in->rank) return (nnc_section){.axis = NNC_NONE};
  const int64_t step = slice->step, size = (int64_t)in->dim[axis], *list = op->spec.indices;
  if (op->spec.kind == NNC_LAYER_take)
    return (nnc_section){(int)axis, (size_t)(list[0] < 0 ? list[0] + size : list[0]), op->spec.n_indices, 0, list};
  const int64_t start = bounded(slice->start, size, step < 0), stop = bounded(slice->stop, size, step < 0);
  const int64_t span = step < 0 ? start - stop : stop - start, stride = step < 0 ? -step : step;
  return (nnc_section){(int)axis, (size_t)start, span > 0 ? (size_t)((span - 1) / stride + 1) : 0, step, NULL};
}

/* The shape of a result that has `count` indices of a dimension of the input; or what is wrong. */
static nnc_status infer_part(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  char got[160];
  const nnc_section range = nnc_section_of(plan, op);
  if (range.axis < 0)
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s: axis=%lld does not name a dimension of %s from %s after the batch", op->spec.name,
                    (long long)op->spec.size.slice.axis, nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]));
  const size_t size = in->dim[range.axis];
  if (!range.count)
    return nnc_fail(error, NNC_ERROR_SHAPE,
                    "%s takes nothing of %s from %s: dimension %d has the indices 0 to %zu; change start, stop or axis",
                    op->spec.name, nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]), range.axis + 1, size - 1);
  for (size_t j = 0; range.list && j < range.count; j++)
    if (range.list[j] >= (int64_t)size || range.list[j] < -(int64_t)size)
      return nnc_fail(error, NNC_ERROR_SHAPE, "%s takes index %lld of %s from %s: dimension %d has the indices 0 to %zu",
                      op->spec.name, (long long)range.list[j], nnc_shape_text(got, sizeof got, in), origin(plan, op->spec.input[0]),
                      range.axis + 1, size - 1);
  plan->value[op->out].shape = *in;
  plan->value[op->out].shape.dim[range.axis] = range.count;
  return NNC_OK;
}

static nnc_status infer_slice(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const int64_t step = op->spec.size.slice.step;
  if (!step || step == INT64_MIN)
    return nnc_fail(error, NNC_ERROR_VALUE, "%s: step=%lld is not possible", op->spec.name, (long long)step);
  return infer_part(plan, op, error);
}

static nnc_status infer_take(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  if (!op->spec.n_indices) return nnc_fail(error, NNC_ERROR_VALUE, "%s: has no indices", op->spec.name);
  return infer_part(plan, op, error);
}

/* The input of the network of which a value is a view, possibly in another shape; or NNC_NONE. */
static int seen_input(const nnc_plan *plan, int value) {
  while (plan->value[value].producer != NNC_NONE) {
    const nnc_op_spec *spec = &plan->op[plan->value[value].producer].spec;
    if (spec->kind != NNC_LAYER_flatten && !(spec->kind == NNC_LAYER_activation && spec->code == NNC_ACTIVATION_identity))
      return NNC_NONE;
    value = spec->input[0];
  }
  return value;
}

static nnc_status infer_embedding(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  const nnc_shape *in = &plan->value[op->spec.input[0]].shape;
  const struct nnc_embedding_sizes *size = &op->spec.size.embedding;
  const int64_t rows = size->num_embeddings, dim = size->embedding_dim, exact = 1 << 24;
  size_t elements;
  if (rows < 1 || dim < 1 || size->padding_idx >= rows)
    return nnc_fail(error, NNC_ERROR_VALUE,
                    "%s: num_embeddings=%lld and embedding_dim=%lld must be at least 1, and padding_idx less than "
                    "num_embeddings",
                    op->spec.name, (long long)rows, (long long)dim);
  if (plan->dtype == NNC_F32 && rows > exact)
    return nnc_fail(error, NNC_ERROR_VALUE,
                    "%s: float32 tells only %lld indices apart, not num_embeddings=%lld; make the model with "
                    "dtype=\"float64\"",
                    op->spec.name, (long long)exact, (long long)rows);
  if (nnc_mul(&elements, (size_t)rows, (size_t)dim) || nnc_mul(&elements, elements, plan->element))
    return nnc_fail(error, NNC_ERROR_SIZE, "%s: a table of %lld x %lld is larger than the address space", op->spec.name,
                    (long long)rows, (long long)dim);
  if (seen_input(plan, op->spec.input[0]) == NNC_NONE)
    return nnc_fail(error, NNC_ERROR_SHAPE,
                    "%s takes indices, which only an input of the model can hold, but reads what comes from %s; "
                    "put it first",
                    op->spec.name, origin(plan, op->spec.input[0]));
  if (in->rank == NNC_MAX_RANK) {
    char got[160];
    return nnc_fail(error, NNC_ERROR_SHAPE, "%s: %s has no room for one more dimension", op->spec.name,
                    nnc_shape_text(got, sizeof got, in));
  }
  plan->value[op->out].shape = *in;
  plan->value[op->out].shape.dim[plan->value[op->out].shape.rank++] = (size_t)dim;
  return NNC_OK;
}

nnc_status nnc_infer_shape(nnc_plan *plan, nnc_op *op, nnc_error *error) {
  typedef nnc_status infer_fn(nnc_plan *, nnc_op *, nnc_error *);
  static infer_fn *const rules[NNC_LAYER_COUNT] = {
#define NNC_LAYER(name, sizes, attributes) [NNC_LAYER_##name] = infer_##name,
#include "ops/ops.def"
  };
  return rules[op->spec.kind](plan, op, error);
}
