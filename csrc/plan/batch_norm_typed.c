/* batch_norm_typed.c: batch normalisation and the activation that follows it. In training it works on channels of the whole batch,
 * outside on samples, with the running statistics. */
#include "plan/engine.h"

static nnc_norm_statistics statistics_of(const nnc_run *run, const nnc_op *op) {
  nnc_norm_statistics s = {NULL, NULL, NULL, NULL};
  if (run->arena) {
    s.mean = run->arena + op->saved;
    s.rstd = run->arena + op->saved + op->spec.size[0];
  }
  if (op->spec.size[2]) {
    const nnc_param *state = &run->plan->state[op->state];
    s.running_mean = (real *)run->plan->states + state[0].offset;
    s.running_var = (real *)run->plan->states + state[1].offset;
  }
  return s;
}

static int epilogue_of(const nnc_run *run, const nnc_op *op) { return op->loss_fused && run->loss ? NNC_NONE : op->epilogue; }

/* Channels [first, last) of a value as a matrix: its columns, or whole lines. */
static size_t inner_of(const nnc_run *run, const nnc_op *op) {
  const nnc_value *v = &run->plan->value[op->out];
  return v->shape.rank == 1 ? 1 : v->cols;
}

static size_t sample_distance(const nnc_run *run, int value) { return run->plan->value[value].lines * run->ld[value]; }

static real *batches_of(const nnc_run *run, const nnc_op *op) {
  return (real *)run->plan->states + run->plan->state[op->state + 2].offset;
}

static void begin_batch(const nnc_run *run, const nnc_op *op) {
  if (op->spec.size[2]) *batches_of(run, op) += 1;
}

/* How much the statistics of this batch weigh in the running ones; a negative momentum asks for the plain average of all. */
static double momentum_of(const nnc_run *run, const nnc_op *op) {
  return op->spec.attr[1] >= 0 || !op->spec.size[2] ? op->spec.attr[1] : 1 / (double)*batches_of(run, op);
}

static void activate(const nnc_run *run, const nnc_op *op, size_t first, size_t last, size_t from, size_t to) {
  const int epilogue = epilogue_of(run, op);
  if (epilogue == NNC_NONE) return;
  const size_t inner = inner_of(run, op), distance = sample_distance(run, op->out);
  real *y = run->act[op->out] + from * distance + first * inner;
  run->k->activation_forward[epilogue](y, y, to - from, (last - first) * inner, distance, distance, op->epilogue_attr);
}

static void batch_norm_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  const size_t channels = (size_t)op->spec.size[0], dx = sample_distance(run, in), dy = sample_distance(run, op->out);
  const nnc_norm_statistics s = statistics_of(run, op);
  run->k->batch_norm_forward(run->act[op->out] + first * dy, &s, run->act[in] + first * dx, nnc_param_at(run, op, 0, run->params),
                             nnc_param_at(run, op, 1, run->params), 0, channels, last - first, inner_of(run, op), dy, dx,
                             op->spec.attr[0], 0, op->spec.size[2] != 0);
  activate(run, op, 0, channels, first, last);
}

/* Channels per panel: its numbers are still in cache when the activation follows. */
static size_t panel_of(const nnc_run *run, const nnc_op *op) {
  enum { PANEL_BYTES = 32 << 10, LEAST = 4 * NNC_ALIGNMENT / sizeof(real) };
  const size_t channels = PANEL_BYTES / sizeof(real) / (run->rows * inner_of(run, op) + 1);
  return channels < LEAST ? LEAST : channels - channels % LEAST;
}

static void forward_panel(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  const nnc_norm_statistics s = statistics_of(run, op);
  run->k->batch_norm_forward(run->act[op->out], &s, run->act[in], nnc_param_at(run, op, 0, run->params),
                             nnc_param_at(run, op, 1, run->params), first, last, run->rows, inner_of(run, op),
                             sample_distance(run, op->out), sample_distance(run, in), op->spec.attr[0], momentum_of(run, op), 0);
  activate(run, op, first, last, 0, run->rows);
}

static void backward_panel(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0], epilogue = epilogue_of(run, op), wanted = run->plan->value[in].needs_grad || run->input_grads;
  const size_t inner = inner_of(run, op), dx = sample_distance(run, in), dy = sample_distance(run, op->out);
  const nnc_norm_statistics s = statistics_of(run, op);
  real *grad = run->grad[op->out], *to = op->accumulates[0] ? run->arena + op->packed : run->grad[in];
  const size_t at = first * inner, cols = (last - first) * inner;
  if (epilogue != NNC_NONE)
    run->k->activation_backward[epilogue](grad + at, grad + at, run->act[op->out] + at, run->rows, cols, dy, dy, dy,
                                          op->epilogue_attr);
  run->k->batch_norm_backward(wanted ? to : NULL, nnc_param_at(run, op, 0, run->grads), nnc_param_at(run, op, 1, run->grads), &s,
                              grad, run->act[in], nnc_param_at(run, op, 0, run->params), first, last, run->rows, inner, dx, dy, dx,
                              op->spec.attr[0], !run->training && op->spec.size[2]);
  if (wanted && op->accumulates[0]) run->k->accumulate(run->grad[in] + at, to + at, run->rows, cols, dx, dx);
}

static void over_panels(const nnc_run *run, const nnc_op *op, size_t first, size_t last,
                        void (*panel)(const nnc_run *, const nnc_op *, size_t, size_t)) {
  const size_t step = panel_of(run, op);
  for (; first < last; first += step) panel(run, op, first, last - first < step ? last : first + step);
}

static void forward_channels(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  over_panels(run, op, first, last, forward_panel);
}

static void backward_channels(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  over_panels(run, op, first, last, backward_panel);
}

static void batch_norm_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  (void)run, (void)op, (void)first, (void)last; /* backward_channels does it */
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_batch_norm) = {
    .forward = batch_norm_forward,
    .backward = batch_norm_backward,
    .begin_batch = begin_batch,
    .forward_channels = forward_channels,
    .backward_channels = backward_channels,
    .gradient = nnc_no_gradient, /* backward_channels has it */
    .prepare = nnc_nothing_to_prepare,
};
