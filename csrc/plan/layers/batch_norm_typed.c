/* batch_norm_typed.c: batch normalisation and the activation that follows it. Training uses the statistics of the batch, inference
 * the running ones.
 *
 * For [rows, channels] each thread first computes partial sums of its own samples, one block of rows at a time while it is in
 * cache; then the sums of its channels over all samples; then its own samples again. For [rows, channels, inner] a thread processes
 * channels of the whole batch.
 *
 * Where ranks join their statistics, the sums of channels are those of this rank until one thread has added those of the others. It
 * does so in double precision, rank by rank, so that all ranks get the same bits. The gradients of the parameters are those of this
 * rank's rows, as all gradients are.
 *
 * With the features last, [samples, steps, channels], each step is such a row. With lengths, only the valid steps count in the
 * statistics and the gradients; the result and dx are zero in the padding. */
#include <math.h>
#include <string.h>

#include "plan/engine.h"

static size_t channels_of(const nnc_op *op) { return (size_t)op->spec.size.batch_norm.num_features; }
static int has_running(const nnc_op *op) { return op->spec.size.batch_norm.track_running_stats != 0; }

/* What is saved: mean, rstd, dgamma, dbeta, and two rows of partial sums for each chunk of samples; whole cache lines each. */
static size_t saved_ld(const nnc_op *op) {
  const size_t line = NNC_ALIGNMENT / sizeof(real);
  return (channels_of(op) + line - 1) / line * line;
}
static real *saved_row(const nnc_run *run, const nnc_op *op, size_t row) { return run->arena + op->saved + row * saved_ld(op); }
static real *partial_of(const nnc_run *run, const nnc_op *op, size_t chunk) { return saved_row(run, op, 4 + 2 * chunk); }

/* Whether a sample is several rows: [steps, channels]. */
static int has_steps(const nnc_run *run, const nnc_op *op) {
  return op->spec.size.batch_norm.features_last && run->plan->value[op->out].lines > 1;
}

static nnc_norm_statistics statistics_of(const nnc_run *run, const nnc_op *op) {
  nnc_norm_statistics s = {0};
  if (run->arena) {
    s.mean = saved_row(run, op, 0);
    s.rstd = saved_row(run, op, 1);
  }
  if (has_running(op)) {
    const nnc_param *state = &run->plan->state[op->state];
    s.running_mean = state[0].data;
    s.running_var = state[1].data;
  }
  return s;
}

static int epilogue_of(const nnc_run *run, const nnc_op *op) { return op->loss_fused && run->loss ? NNC_NONE : op->epilogue; }

/* Channels [first, last) of a value as a matrix: its columns, or whole lines. */
static size_t inner_of(const nnc_run *run, const nnc_op *op) {
  const nnc_value *v = &run->plan->value[op->out];
  return v->shape.rank == 1 || op->spec.size.batch_norm.features_last ? 1 : v->cols;
}

static size_t rows_per_sample(const nnc_run *run, const nnc_op *op) {
  return has_steps(run, op) ? run->plan->value[op->out].lines : 1;
}

/* Between rows: steps, or whole samples. */
static size_t row_distance(const nnc_run *run, const nnc_op *op, int value) {
  return has_steps(run, op) ? run->ld[value] : run->plan->value[value].lines * run->ld[value];
}

/* The rows of samples [first, last) that count. Without steps, all samples are one long sample of rows. */
static nnc_norm_rows valid_rows(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_value *v = &run->plan->value[op->out];
  if (!has_steps(run, op)) return (nnc_norm_rows){1, last - first, NULL, 0};
  const int64_t *lengths = nnc_lengths_of(run, op->out);
  return (nnc_norm_rows){last - first, v->lines, lengths ? lengths + first : NULL, v->lines / v->shape.dim[0]};
}

static size_t count_of(const nnc_norm_rows *rows) {
  size_t count = 0;
  for (size_t i = 0; i < rows->samples; i++) count += nnc_norm_valid(rows, i);
  return count;
}

/* What ranks gather: for each the number of its rows, in a cache line, then its means and squared distances. */
static real *joined_of(const nnc_run *run, const nnc_op *op, int rank) {
  return run->arena + op->joined + (size_t)rank * (NNC_ALIGNMENT / sizeof(real) + 2 * saved_ld(op));
}
static size_t joined_count(const nnc_run *run, const nnc_op *op, int rank) {
  size_t count;
  memcpy(&count, joined_of(run, op, rank), sizeof count);
  return count;
}

/* Where the sums of this rank's forward pass go. */
static nnc_norm_statistics own_statistics(const nnc_run *run, const nnc_op *op) {
  real *own = joined_of(run, op, run->plan->ranks.rank) + NNC_ALIGNMENT / sizeof(real);
  return (nnc_norm_statistics){.mean = own, .squares = own + saved_ld(op)};
}

/* All rows of the batch that count. */
static size_t count_of_batch(const nnc_run *run, const nnc_op *op) {
  const nnc_norm_rows rows = valid_rows(run, op, 0, run->rows);
  size_t count = 0;
  if (!nnc_op_joins(run, op)) return count_of(&rows);
  for (int r = 0; r < run->plan->ranks.ranks; r++) count += joined_count(run, op, r);
  return count;
}

/* Rows [first, last) that are processed together, and what is the same for all such chunks of a pass, so that it is found only once. */
typedef struct {
  size_t first, last;
  real *partial; /* two rows of partial sums */
  size_t count;  /* all rows of the batch that count, where that is asked for */
  size_t channels, ld, dx, dy;
  nnc_norm_statistics s;
  real *gamma, *beta;
} nnc_chunk;

static nnc_chunk chunk_of(const nnc_run *run, const nnc_op *op) {
  return (nnc_chunk){
      .channels = channels_of(op),
      .ld = saved_ld(op),
      .dx = row_distance(run, op, op->spec.input[0]),
      .dy = row_distance(run, op, op->out),
      .s = statistics_of(run, op),
      .gamma = nnc_values_of(run, op, 0),
      .beta = nnc_values_of(run, op, 1),
  };
}

/* The chunks of rows [at, at + valid), whose partial sums begin with number `number`. */
static inline void over_rows(const nnc_run *run, const nnc_op *op, nnc_chunk *c, size_t at, size_t valid, size_t number,
                             void (*process)(const nnc_run *, const nnc_op *, const nnc_chunk *)) {
  const size_t end = at + valid;
  c->partial = partial_of(run, op, number);
  for (c->first = at; c->first < end; c->first += NNC_NORM_CHUNK, c->partial += 2 * c->ld) {
    c->last = end - c->first < NNC_NORM_CHUNK ? end : c->first + NNC_NORM_CHUNK;
    process(run, op, c);
  }
}

/* The chunks of samples [first, last); chunks do not cross samples with steps. */
static inline void over_chunks(const nnc_run *run, const nnc_op *op, size_t first, size_t last, size_t count,
                               void (*process)(const nnc_run *, const nnc_op *, const nnc_chunk *)) {
  nnc_chunk c = chunk_of(run, op);
  c.count = count;
  if (!has_steps(run, op)) {
    over_rows(run, op, &c, first, last - first, first / NNC_NORM_CHUNK, process);
    return;
  }
  const nnc_norm_rows rows = valid_rows(run, op, first, last);
  const size_t per_sample = (rows.steps + NNC_NORM_CHUNK - 1) / NNC_NORM_CHUNK;
  for (size_t i = 0; i < rows.samples; i++)
    over_rows(run, op, &c, (first + i) * rows.steps, nnc_norm_valid(&rows, i), (first + i) * per_sample, process);
}

static real *batches_of(const nnc_run *run, const nnc_op *op) { return run->plan->state[op->state + 2].data; }

static void begin_batch(const nnc_run *run, const nnc_op *op) {
  if (has_running(op)) *batches_of(run, op) += 1;
}

/* The weight of this batch's statistics in the running ones. A negative momentum requests the plain average of all batches. */
static double momentum_of(const nnc_run *run, const nnc_op *op) {
  return op->spec.attr.batch_norm.momentum >= 0 || !has_running(op) ? op->spec.attr.batch_norm.momentum
                                                                    : 1 / (double)*batches_of(run, op);
}

static void apply_activation(const nnc_run *run, const nnc_op *op, size_t first, size_t last, size_t from, size_t to) {
  const int epilogue = epilogue_of(run, op);
  if (epilogue == NNC_NONE) return;
  const size_t inner = inner_of(run, op), distance = row_distance(run, op, op->out);
  real *y = run->act[op->out] + from * distance + first * inner;
  run->k->activation_forward[epilogue](y, y, to - from, (last - first) * inner, distance, distance, op->epilogue_attr.at);
}

static void batch_norm_forward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0];
  const size_t channels = channels_of(op), dx = row_distance(run, op, in), dy = row_distance(run, op, op->out);
  const size_t steps = rows_per_sample(run, op);
  const nnc_norm_statistics s = statistics_of(run, op);
  const nnc_norm_rows valid = valid_rows(run, op, first, last);
  run->k->batch_norm_forward(run->act[op->out] + first * steps * dy, &s, run->act[in] + first * steps * dx,
                             nnc_values_of(run, op, 0), nnc_values_of(run, op, 1), 0, channels, (last - first) * steps,
                             inner_of(run, op), dy, dx, op->spec.attr.batch_norm.eps, 0,
                             has_running(op) ? NNC_NORM_RUNNING : NNC_NORM_BATCH, &valid);
  apply_activation(run, op, 0, channels, first * steps, last * steps);
  nnc_clear_padding(run, run->act, op->out, first, last);
}

/* Whether threads process their own samples. Otherwise the middle phase does everything. */
static int by_samples(const nnc_run *run, const nnc_op *op) {
  return inner_of(run, op) == 1 && (nnc_op_trains(run, op) || !has_running(op));
}

static void moments_of_chunk(const nnc_run *run, const nnc_op *op, const nnc_chunk *c) {
  run->k->batch_norm_moments(c->partial, c->partial + c->ld, run->act[op->spec.input[0]] + c->first * c->dx, c->last - c->first,
                             c->channels, c->dx);
}

static void forward_partial(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (by_samples(run, op)) over_chunks(run, op, first, last, 0, moments_of_chunk);
}

static void forward_panel(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0], joins = nnc_op_joins(run, op);
  const nnc_norm_statistics s = joins ? own_statistics(run, op) : statistics_of(run, op);
  run->k->batch_norm_forward(run->act[op->out], &s, run->act[in], nnc_values_of(run, op, 0), nnc_values_of(run, op, 1), first, last,
                             run->rows, inner_of(run, op), row_distance(run, op, op->out), row_distance(run, op, in),
                             op->spec.attr.batch_norm.eps, momentum_of(run, op), NNC_NORM_BATCH, NULL);
  if (joins) return;
  apply_activation(run, op, first, last, 0, run->rows);
}

/* A plain average must not count a batch whose statistics were left out. Otherwise, if that is the first batch, the next one would
 * be averaged with the initial values. One thread, after forward_channels. */
static void end_batch(const nnc_run *run, const nnc_op *op) {
  if (!has_running(op) || op->spec.attr.batch_norm.momentum >= 0) return;
  const real *mean = saved_row(run, op, 0), *rstd = saved_row(run, op, 1);
  int left_out = 0; /* rstd is 0 where the variance is infinite */
  for (size_t c = 0; c < channels_of(op); c++) left_out |= !(mean[c] - mean[c] == 0) | !(rstd[c] > 0);
  if (left_out) *batches_of(run, op) -= 1;
}

static void normalise_chunk(const nnc_run *run, const nnc_op *op, const nnc_chunk *c) {
  run->k->batch_norm_forward(run->act[op->out] + c->first * c->dy, &c->s, run->act[op->spec.input[0]] + c->first * c->dx, c->gamma,
                             c->beta, 0, c->channels, c->last - c->first, 1, c->dy, c->dx, op->spec.attr.batch_norm.eps, 0,
                             NNC_NORM_SAVED, NULL);
  apply_activation(run, op, 0, c->channels, c->first, c->last);
}

/* Channels of several numbers each, with the statistics of all ranks. */
static void normalise_planes(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const nnc_norm_statistics s = statistics_of(run, op);
  const size_t dx = row_distance(run, op, op->spec.input[0]), dy = row_distance(run, op, op->out);
  run->k->batch_norm_forward(run->act[op->out] + first * dy, &s, run->act[op->spec.input[0]] + first * dx,
                             nnc_values_of(run, op, 0), nnc_values_of(run, op, 1), 0, channels_of(op), last - first,
                             inner_of(run, op), dy, dx, op->spec.attr.batch_norm.eps, 0, NNC_NORM_SAVED, NULL);
  apply_activation(run, op, 0, channels_of(op), first, last);
}

static void forward_rest(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (run->self->rank == 0) end_batch(run, op);
  if (!by_samples(run, op)) {
    if (nnc_op_joins(run, op)) normalise_planes(run, op, first, last);
    return;
  }
  over_chunks(run, op, first, last, 0, normalise_chunk);
  nnc_clear_padding(run, run->act, op->out, first, last);
}

/* The gradient of the activation's input, in place. */
static void activation_gradient(const nnc_run *run, const nnc_op *op, size_t first, size_t last, size_t from, size_t to) {
  const int epilogue = epilogue_of(run, op);
  if (epilogue == NNC_NONE) return;
  const size_t inner = inner_of(run, op), distance = row_distance(run, op, op->out), at = from * distance + first * inner;
  real *grad = run->grad[op->out] + at;
  run->k->activation_backward[epilogue](grad, grad, run->act[op->out] + at, to - from, (last - first) * inner, distance, distance,
                                        distance, op->epilogue_attr.at);
}

static int is_wanted(const nnc_run *run, const nnc_op *op) {
  return run->plan->value[op->spec.input[0]].needs_grad || run->input_grads;
}

static void sums_of_chunk(const nnc_run *run, const nnc_op *op, const nnc_chunk *c) {
  activation_gradient(run, op, 0, c->channels, c->first, c->last);
  run->k->batch_norm_sums(c->partial, c->partial + c->ld, run->grad[op->out] + c->first * c->dy,
                          run->act[op->spec.input[0]] + c->first * c->dx, c->s.mean, c->last - c->first, c->channels, c->dy, c->dx);
}

static void backward_partial(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (by_samples(run, op)) over_chunks(run, op, first, last, 0, sums_of_chunk);
}

static void gradient_of_chunk(const nnc_run *run, const nnc_op *op, const nnc_chunk *c) {
  const int in = op->spec.input[0], adds = op->accumulates[0];
  const size_t rows = c->last - c->first, at = c->first * c->dx;
  real *grad = run->grad[in] + at, *own = adds ? run->arena + op->packed + at : grad;
  run->k->batch_norm_backward(own, saved_row(run, op, 2), saved_row(run, op, 3), &c->s, run->grad[op->out] + c->first * c->dy,
                              run->act[in] + at, c->gamma, 0, c->channels, rows, c->count, 1, c->dx, c->dy, c->dx,
                              op->spec.attr.batch_norm.eps, NNC_NORM_TOTALS);
  if (adds) run->k->accumulate(grad, own, rows, c->channels, c->dx, c->dx);
}

static void gradient_of_planes(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0], adds = op->accumulates[0];
  const size_t dx = row_distance(run, op, in), dy = row_distance(run, op, op->out), rows = last - first;
  const nnc_norm_statistics s = statistics_of(run, op);
  real *grad = run->grad[in] + first * dx, *own = adds ? run->arena + op->packed + first * dx : grad;
  run->k->batch_norm_backward(own, saved_row(run, op, 2), saved_row(run, op, 3), &s, run->grad[op->out] + first * dy,
                              run->act[in] + first * dx, nnc_values_of(run, op, 0), 0, channels_of(op), rows,
                              count_of_batch(run, op), inner_of(run, op), dx, dy, dx, op->spec.attr.batch_norm.eps,
                              NNC_NORM_TOTALS);
  if (adds) run->k->accumulate(grad, own, rows, channels_of(op) * inner_of(run, op), dx, dx);
}

static void backward_rest(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (!is_wanted(run, op)) return;
  if (!by_samples(run, op)) {
    if (nnc_op_joins(run, op)) gradient_of_planes(run, op, first, last);
    return;
  }
  over_chunks(run, op, first, last, count_of_batch(run, op), gradient_of_chunk);
  if (!op->accumulates[0]) nnc_clear_padding(run, run->grad, op->spec.input[0], first, last);
}

/* The gradients of the parameters, from their place in the saved rows. */
static void keep_gradients(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  for (int slot = 0; slot < 2; slot++) {
    real *gradient = nnc_param_at(run, op, slot, run->grads);
    if (gradient) memcpy(gradient + first, saved_row(run, op, 2 + (size_t)slot) + first, (last - first) * sizeof *gradient);
  }
}

static void backward_panel(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  const int in = op->spec.input[0], adds = op->accumulates[0];
  const size_t rows = run->rows * rows_per_sample(run, op), inner = inner_of(run, op), columns = (last - first) * inner;
  const size_t dx = row_distance(run, op, in), dy = row_distance(run, op, op->out);
  const nnc_norm_statistics s = statistics_of(run, op);
  real *grad = run->grad[in], *own = adds ? run->arena + op->packed : grad;
  activation_gradient(run, op, first, last, 0, rows);
  if (nnc_op_joins(run, op)) { /* the sums alone */
    run->k->batch_norm_backward(NULL, saved_row(run, op, 2), saved_row(run, op, 3), &s, run->grad[op->out], run->act[in],
                                nnc_values_of(run, op, 0), first, last, rows, rows, inner, dx, dy, dx, op->spec.attr.batch_norm.eps,
                                NNC_NORM_BATCH);
    keep_gradients(run, op, first, last);
    return;
  }
  run->k->batch_norm_backward(is_wanted(run, op) ? own : NULL, nnc_param_at(run, op, 0, run->grads),
                              nnc_param_at(run, op, 1, run->grads), &s, run->grad[op->out], run->act[in], nnc_values_of(run, op, 0),
                              first, last, rows, rows, inner, dx, dy, dx, op->spec.attr.batch_norm.eps,
                              !nnc_op_trains(run, op) && has_running(op) ? NNC_NORM_RUNNING : NNC_NORM_BATCH);
  if (is_wanted(run, op) && adds) run->k->accumulate(grad + first * inner, own + first * inner, rows, columns, dx, dx);
}

/* Channels per panel, so few that the data are still in cache when the activation is applied. */
static size_t panel_of(const nnc_run *run, const nnc_op *op) {
  enum { PANEL_BYTES = 32 << 10, LEAST = 4 * NNC_ALIGNMENT / sizeof(real) };
  const size_t channels = PANEL_BYTES / sizeof(real) / (run->rows * rows_per_sample(run, op) * inner_of(run, op) + 1);
  return channels < LEAST ? LEAST : channels - channels % LEAST;
}

static void over_panels(const nnc_run *run, const nnc_op *op, size_t first, size_t last,
                        void (*panel)(const nnc_run *, const nnc_op *, size_t, size_t)) {
  const size_t step = panel_of(run, op);
  for (; first < last; first += step) panel(run, op, first, last - first < step ? last : first + step);
}

static void forward_channels(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (!by_samples(run, op)) {
    over_panels(run, op, first, last, forward_panel);
    return;
  }
  const nnc_norm_statistics s = nnc_op_joins(run, op) ? own_statistics(run, op) : statistics_of(run, op);
  const nnc_norm_rows rows = valid_rows(run, op, 0, run->rows);
  run->k->batch_norm_merge(&s, partial_of(run, op, 0), first, last, &rows, saved_ld(op), op->spec.attr.batch_norm.eps,
                           momentum_of(run, op));
}

static void backward_channels(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  if (!by_samples(run, op)) {
    over_panels(run, op, first, last, backward_panel);
    return;
  }
  const nnc_norm_rows rows = valid_rows(run, op, 0, run->rows);
  run->k->batch_norm_total(saved_row(run, op, 2), saved_row(run, op, 3), partial_of(run, op, 0), saved_row(run, op, 1), first, last,
                           &rows, saved_ld(op));
  keep_gradients(run, op, first, last);
}

/* Channel c of all ranks: Chan, Golub and LeVeque, as in ops/normalization/batch_norm.c. */
static void join_channel(const nnc_run *run, const nnc_op *op, size_t c, double momentum) {
  const nnc_norm_statistics s = statistics_of(run, op);
  double n = 0, mean = 0, squares = 0;
  for (int r = 0; r < run->plan->ranks.ranks; r++) {
    const real *at = joined_of(run, op, r) + NNC_ALIGNMENT / sizeof(real) + c;
    const double more = (double)joined_count(run, op, r) * (double)inner_of(run, op), apart = (double)at[0] - mean;
    if (more == 0) continue;
    squares += (double)at[saved_ld(op)] + apart * apart * n * more / (n + more);
    mean += apart * more / (n + more);
    n += more;
  }
  ((real *)s.mean)[c] = (real)mean;
  ((real *)s.rstd)[c] = (real)(1 / sqrt(squares / n + op->spec.attr.batch_norm.eps));
  const double unbiased = squares / (n - 1);
  if (!s.running_mean || !(mean - mean == 0) || !(unbiased - unbiased == 0)) return;
  real *running_mean = (real *)s.running_mean + c, *running_var = (real *)s.running_var + c;
  *running_mean = (real)((1 - momentum) * (double)*running_mean + momentum * mean);
  *running_var = (real)((1 - momentum) * (double)*running_var + momentum * unbiased);
}

static void forward_joined(const nnc_run *run, const nnc_op *op) {
  const nnc_norm_rows rows = valid_rows(run, op, 0, run->rows);
  const size_t count = count_of(&rows);
  memcpy(joined_of(run, op, run->plan->ranks.rank), &count, sizeof count);
  nnc_gather_from_ranks(run, joined_of(run, op, 0), (size_t)((char *)joined_of(run, op, 1) - (char *)joined_of(run, op, 0)));
  for (size_t c = 0; c < channels_of(op) && !*run->failed; c++) join_channel(run, op, c, momentum_of(run, op));
}

static void backward_joined(const nnc_run *run, const nnc_op *op) {
  nnc_sum_over_ranks(run, saved_row(run, op, 2), 2 * saved_ld(op));
}

static void batch_norm_backward(const nnc_run *run, const nnc_op *op, size_t first, size_t last) {
  (void)run, (void)op, (void)first, (void)last; /* done by the backward_* functions */
}

const NNC_TYPED(nnc_driver) NNC_TYPED(nnc_driver_batch_norm) = {
    .forward = batch_norm_forward,
    .backward = batch_norm_backward,
    .begin_batch = begin_batch,
    .forward_partial = forward_partial,
    .forward_channels = forward_channels,
    .forward_rest = forward_rest,
    .backward_partial = backward_partial,
    .backward_channels = backward_channels,
    .backward_rest = backward_rest,
    .forward_joined = forward_joined,
    .backward_joined = backward_joined,
    .external_arrays = 1,
    .gradient = nnc_no_gradient, /* done by backward_channels */
    .prepare = nnc_nothing_to_prepare,
};
