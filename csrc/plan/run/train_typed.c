/* train_typed.c: training steps. One parallel region for a whole chunk of steps; each step is
 *
 *   samples     every thread fetches its samples and computes forward, loss and backward, without other threads
 *   barrier
 *   parameters  every thread processes its tasks: gradient, update, and preparation of the next step, while in cache. The update is
 * a
 *               separate phase if it needs the norm of gradients before or of weights after, or if the network is small
 *   barrier
 *
 * A step may have several batches. All but the last one only add up gradients; the loss is that of all their rows as one batch.
 *
 * The distribution of samples and tasks among threads does not change any result.
 */
#include "plan/run/output_losses.h"
#include "plan/run/probe.h"

typedef struct {
  nnc_plan *plan;
  const nnc_data *data;
  size_t batch, step_rows, first, max_steps; /* rows of a batch, and of a step, which may have several */
  const double *lr;
  double *loss;
  nnc_progress *progress;
  double deadline;
  size_t clock_every, clock_at; /* thread 0's: steps between readings of the clock, and the next step with a reading */
  double clock_read;
  int failed;  /* a call into Python has failed; written by thread 0 before a barrier */
  int is_last; /* written by thread 0 in the samples phase, read by all after the barrier */
  size_t done;
} nnc_session;

/* One batch of a step. */
typedef struct {
  size_t start, rows, number;
  int is_first, is_last;
  const double *total; /* per output: the divisor of the whole step */
} nnc_batch;

/* Of the batch, in the arena. */
static int64_t *lengths_of(const nnc_plan *plan) { return (int64_t *)plan->arena + plan->lengths; }

static nnc_output_batch batch_of(const nnc_session *s, const nnc_output_loss *out) {
  real *arena = s->plan->arena;
  const nnc_weights *weights = nnc_weights_of(s->data, (int)(out - s->plan->output_loss));
  return (nnc_output_batch){arena + out->target, arena + out->row_loss, weights ? arena + out->row_weight : NULL,
                            weights ? weights->width : 1, s->data->lengths ? lengths_of(s->plan) : NULL};
}

static void fetch(const nnc_session *s, const nnc_run *run, size_t start, size_t first, size_t last) {
  const nnc_plan *plan = s->plan;
  const nnc_data *data = s->data;
  for (size_t r = first; r < last && data->lengths; r++)
    nnc_take_length(plan, lengths_of(plan) + r, plan->rows_reserved,
                    data->lengths + (data->order ? (size_t)data->order[start + r] : start + r));
  for (int i = 0; i < plan->n_inputs; i++) {
    const size_t width = plan->value[i].lines * plan->value[i].cols;
    nnc_fetch(run->k, run->act[i], &data->x[i], data->order, start, first, last, width, nnc_value_elements(&plan->value[i]));
    nnc_clear_padding(run, run->act, i, first, last);
  }
  for (int i = 0; i < plan->n_outputs; i++) {
    const nnc_output_loss *out = &plan->output_loss[i];
    const size_t width = plan->value[out->prediction].lines * out->target_cols;
    nnc_fetch(run->k, batch_of(s, out).target, &data->y[i], data->order, start, first, last, width, width);
    nnc_mark_ignored(out, batch_of(s, out).target + first * width, (last - first) * width);
    const nnc_weights *w = nnc_weights_of(data, i);
    if (w) nnc_fetch(run->k, (real *)batch_of(s, out).weight, &w->source, data->order, start, first, last, w->width, w->width);
  }
}

static void losses_of_samples(const nnc_session *s, const nnc_run *run, const nnc_output_loss *out, const nnc_batch *b,
                              size_t first, size_t last) {
  const nnc_output_batch at = batch_of(s, out);
  nnc_output_losses(run, out, &at, first, last, out->weight / nnc_divisor(b->total[out - s->plan->output_loss]));
}

/* A loss in Python, or metrics in Python: the whole batch at once, on the calling thread. */
static void losses_of_batch(const nnc_session *s, const nnc_run *run, const nnc_output_loss *out, const nnc_batch *b) {
  nnc_barrier(run->self);
  if (run->self->rank == 0) {
    const nnc_output_batch at = batch_of(s, out);
    losses_of_samples(s, run, out, b, 0, b->rows);
    if (out->statistics.called && !s->failed) nnc_output_watch(run, out, &at, b->rows);
  }
  nnc_barrier(run->self);
}

static void samples_phase(const nnc_session *s, const nnc_run *run, const nnc_thread *self, const nnc_batch *b) {
  const nnc_plan *plan = s->plan;
  size_t first, last;
  nnc_partition_samples(plan, self, b->rows, &first, &last);
  if (first < last) fetch(s, run, b->start, first, last);
  nnc_run_forward(run, first, last);
  if (s->failed) return;
  for (int i = 0; i < plan->n_outputs; i++) {
    const nnc_output_loss *out = &plan->output_loss[i];
    if (nnc_output_is_called(out)) losses_of_batch(s, run, out, b);
    else if (first < last) losses_of_samples(s, run, out, b, first, last);
    if (s->failed) return;
  }
  nnc_run_backward(run, first, last);
  if (plan->n_penalty_pieces) nnc_run_penalties(run, self);
}

/* Adds the losses of a batch to those of its step, and returns the loss of the step when it is complete. */
static double record_losses(const nnc_session *s, const nnc_run *run, const nnc_batch *b) {
  const int by_itself = s->data->part != NULL; /* the caller adds up the batches */
  const double penalty = nnc_penalty_sum(s->plan);
  double loss = b->is_last ? penalty : 0;
  for (int i = 0; i < s->plan->n_outputs; i++) {
    nnc_output_loss *out = &s->plan->output_loss[i];
    const nnc_output_batch at = batch_of(s, out);
    out->loss_sum = nnc_output_loss_sum(run, out, &at, b->rows, b->is_first || by_itself ? 0 : out->loss_sum);
    if (s->data->statistics) nnc_output_statistics(run, out, &at, b->rows, s->data->statistics[i]);
    if (!b->is_last && !by_itself) continue;
    loss += out->weight * out->loss_sum / nnc_divisor(b->total[i]);
    if (s->data->parts) {
      s->data->parts[2 * i] += out->loss_sum;
      s->data->parts[2 * i + 1] += by_itself ? nnc_output_total_weight(out, s->plan, s->data, b->start, b->rows) : b->total[i];
    }
  }
  if (s->data->parts) {
    s->data->parts[2 * s->plan->n_outputs] += penalty * (double)b->rows;
    s->data->parts[2 * s->plan->n_outputs + 1] += (double)b->rows;
  }
  return loss;
}

static void parameters_phase(const nnc_session *s, const nnc_run *run, nnc_thread *self, size_t rows, const nnc_update *update,
                             int more) {
  if (s->plan->fused_update) {
    nnc_run_gradients(run, self, rows, update, more);
    return;
  }
  nnc_run_gradients(run, self, rows, NULL, 0);
  nnc_barrier(self);
  nnc_run_update(run, self, update);
  if (!more) return;
  nnc_barrier(self);
  nnc_run_prepare(run, self);
}

/* Reading the clock costs as much as a small layer. It is read every 0.1 to 0.4 ms, or at every step if there are calls into
 * Python. */
static int is_late(nnc_session *s, size_t step) {
  const double now = nnc_now(), since = now - s->clock_read;
  if (since < 1e-4 && !nnc_calls_out(s->plan)) s->clock_every *= 2;
  else if (since > 4e-4 && s->clock_every > 1) s->clock_every /= 2;
  s->clock_read = now;
  s->clock_at = step + s->clock_every;
  return now >= s->deadline;
}

/* Forward, loss and backward of a batch; returns non-zero if a call into Python has failed. Gradients follow. */
static int run_batch(nnc_session *s, nnc_run *run, nnc_thread *self, const nnc_batch *b, double *loss) {
  run->rows = b->rows;
  run->pass = b->number;
  run->accumulates = !b->is_first;
  samples_phase(s, run, self, b);
  if (s->failed) return 1;
  nnc_barrier(self);
  if (self->rank == 0) *loss = record_losses(s, run, b);
  return 0;
}

/* The batches of a step before the last one, which only add up gradients. Leaves in *b the last one. */
static int run_all_but_last(nnc_session *s, nnc_run *run, nnc_thread *self, nnc_batch *b, double *loss) {
  const size_t end = b->start + b->rows;
  b->rows = s->batch;
  b->is_last = 0;
  for (; end - b->start > s->batch; b->start += s->batch, b->number++, b->is_first = 0) {
    if (run_batch(s, run, self, b, loss)) return 1;
    nnc_run_gradients(run, self, b->rows, NULL, 0);
    nnc_barrier(self);
  }
  b->rows = end - b->start;
  b->is_last = 1;
  return 0;
}

/* The data of a session's step, as if they were one batch. total: memory for the divisors. */
static nnc_batch whole_step(const nnc_session *s, size_t step, double *total) {
  const nnc_part *part = s->data->part;
  const size_t start = s->first + step * s->step_rows, left = s->data->rows - start,
               rows = left < s->step_rows ? left : s->step_rows;
  if (part) return (nnc_batch){start, rows, part->number, part->number == 0, part->is_last, part->totals};
  for (int i = 0; i < s->plan->n_outputs; i++)
    total[i] = nnc_output_total_weight(&s->plan->output_loss[i], s->plan, s->data, start, rows);
  return (nnc_batch){start, rows, 0, 1, 1, total};
}

static void carry_states(const nnc_session *s, nnc_run *run, size_t step) {
  const size_t turn = ((size_t)s->plan->carry_turn + step) % 2;
  run->initial = run->arena + s->plan->carried[turn];
  run->final = run->arena + s->plan->carried[1 - turn];
  run->carried = 1;
}

static void train_thread(nnc_thread *self, void *context) {
  nnc_session *s = context;
  nnc_run run = nnc_training_run(s->plan, s->progress, self, 0);
  const int64_t done = run.step;
  int64_t next_probe = nnc_probe_next(s->data->probe, done);
  double total[NNC_MAX_OUTPUTS];
  run.training = run.loss = 1;
  if (s->data->lengths) run.lengths = lengths_of(s->plan);
  run.failed = &s->failed;
  nnc_run_prepare(&run, self);
  nnc_barrier(self);
  for (size_t step = 0;; step++) {
    nnc_batch batch = whole_step(s, step, total);
    const int is_end = batch.start + batch.rows == s->data->rows;
    const nnc_update update = nnc_update_scalars(s->plan, s->lr[step], done + (int64_t)step);
    run.step = done + (int64_t)step;
    run.keeps_rows = run.step == next_probe;
    if (s->plan->stateful) carry_states(s, &run, step);
    if (self->rank == 0) s->is_last = step + 1 == s->max_steps || is_end || (step >= s->clock_at && is_late(s, step));
    if ((batch.rows > s->batch && run_all_but_last(s, &run, self, &batch, &s->loss[step])) ||
        run_batch(s, &run, self, &batch, &s->loss[step])) {
      if (self->rank == 0) s->done = step;
      return;
    }
    if (!batch.is_last) { /* more batches of the step follow, in other calls */
      nnc_run_gradients(&run, self, batch.rows, NULL, 0);
      if (self->rank == 0) s->done = 1;
      return;
    }
    const int is_last = s->is_last;
    nnc_probe *probe = run.step == next_probe ? s->data->probe : NULL;
    if (probe) next_probe = nnc_probe_next(probe, run.step + 1);
    if (probe) {
      nnc_probe_before(&run, self, probe);
      nnc_barrier(self);
    }
    parameters_phase(s, &run, self, batch.rows, &update, !is_last);
    if (probe) {
      nnc_barrier(self);
      nnc_probe_after(&run, self, probe);
    }
    if (is_last) {
      if (self->rank == 0) s->done = step + 1;
      return;
    }
    nnc_barrier(self);
  }
}

size_t NNC_TYPED(nnc_train)(nnc_plan *plan, const nnc_data *data, size_t batch, size_t first, size_t max_steps, const double *lr,
                            double *loss, nnc_progress *progress, double budget) {
  const uint64_t countable = (uint64_t)(INT64_MAX - (progress->step > 0 ? progress->step : 0));
  if (max_steps > countable) max_steps = (size_t)countable;
  if (first >= data->rows || !max_steps) return 0;
  const size_t largest = batch < data->rows ? batch : data->rows, most = data->accumulate > 1 ? data->accumulate : 1;
  const size_t step_rows = data->rows / most < batch ? data->rows : batch * most; /* no overflow */
  const size_t left = (data->rows - first + step_rows - 1) / step_rows;
  const double flops = 3 * plan->flops * (double)largest;
  const int wanted = nnc_threads_for(flops / 2);
  const int timed = wanted > 1 || max_steps > 1; /* reading the clock costs as much as a small layer */
  const double start = timed ? nnc_now() : 0;
  size_t done = 0;
  double now = start;
  if (max_steps > left) max_steps = left;
  while (done < max_steps && (done == 0 || now < start + budget)) {
    double until;
    const int threads = nnc_autotune_choose(&plan->autotune, wanted, largest, now, &until);
    nnc_session s = {.plan = plan,
                     .data = data,
                     .batch = batch,
                     .step_rows = step_rows,
                     .first = first + done * step_rows,
                     .max_steps = max_steps - done,
                     .lr = lr + done,
                     .loss = loss + done,
                     .progress = progress,
                     .deadline = until < start + budget ? until : start + budget,
                     .clock_every = 1,
                     .clock_read = now};
    nnc_parallel(threads, nnc_plan_has_tiles(plan), train_thread, &s);
    const double before = now;
    if (timed) now = nnc_now();
    if (data->part && !data->part->is_last) return s.done;
    progress->step += (int64_t)s.done;
    if (s.done) progress->pass = 0;
    if (s.done) nnc_count_changes(plan);
    plan->carry_turn = (int)(((size_t)plan->carry_turn + s.done) % 2);
    done += s.done;
    if (s.done)
      plan->carried_rows = data->rows - first < done * step_rows ? data->rows - first - (done - 1) * step_rows : step_rows;
    if (s.failed) break;
    if (wanted > 1 && s.done)
      nnc_autotune_report(&plan->autotune, (double)(s.done * (largest == batch ? step_rows : largest)), now - before);
  }
  return done;
}
