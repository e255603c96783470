/* train_typed.c: training steps. One parallel region for a whole chunk of steps; each step is
 *
 *   samples     every thread fetches its samples and computes forward, loss and backward, without other threads
 *   barrier
 *   parameters  every thread processes its tasks: gradient, update, and preparation of the next step, while in cache. The update is
 * a
 *               separate phase if it needs the norm of gradients before or of weights after, or if the network is small
 *   barrier
 *
 * With ranks, a third barrier follows the gradients, and thread 0 sums them over the ranks before the update. A rank that wants to stop
 * adds 1 to the element behind its gradients, so that all stop at the same step.
 *
 * A step may have several batches. All but the last one only add up gradients; the loss is that of all their rows as one batch.
 *
 * The distribution of samples and tasks among threads does not change any result.
 */
#include <string.h>

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
  size_t start, rows, number, count; /* of `count` batches */
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

/* Whether the gradients are those of the rows of all ranks. */
static int is_summing(const nnc_session *s) { return s->data->share && !s->plan->ranks.apart; }

static void samples_phase(const nnc_session *s, const nnc_run *run, const nnc_thread *self, const nnc_batch *b) {
  const nnc_plan *plan = s->plan;
  size_t first, last;
  if (!b->rows) {
    nnc_run_without_rows(run);
    if (!s->failed && plan->n_penalty_pieces) nnc_run_penalties(run, self);
    return;
  }
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

/* The factor of the penalties in a step whose losses are divided by these totals. */
static double penalty_scale(const nnc_plan *plan, const double *total) {
  return plan->optimizer.divides_penalties ? 1 / nnc_divisor(total[0]) : 1;
}

/* Adds the losses of a batch to those of its step, and returns the loss of the step when it is complete. */
static double record_losses(const nnc_session *s, const nnc_run *run, const nnc_batch *b) {
  const int by_itself = s->data->part != NULL;                   /* the caller adds up the batches */
  const int counts = !is_summing(s) || s->plan->ranks.rank == 0; /* what ranks have in common is counted once */
  const double penalty = nnc_penalty_sum(s->plan) * penalty_scale(s->plan, b->total);
  double loss = b->is_last && counts ? penalty : 0;
  for (int i = 0; i < s->plan->n_outputs; i++) {
    nnc_output_loss *out = &s->plan->output_loss[i];
    const nnc_output_batch at = batch_of(s, out);
    out->loss_sum = nnc_output_loss_sum(run, out, &at, b->rows, b->is_first || by_itself ? 0 : out->loss_sum);
    if (s->data->statistics) nnc_output_statistics(run, out, &at, b->rows, s->data->statistics[i]);
    if (!b->is_last && !by_itself) continue;
    loss += out->weight * out->loss_sum / nnc_divisor(b->total[i]);
    if (s->data->parts) {
      s->data->parts[2 * i] += out->loss_sum;
      s->data->parts[2 * i + 1] += by_itself ? nnc_output_total_weight(out, s->plan, s->data, b->start, b->rows)
                                   : counts  ? b->total[i]
                                             : 0;
    }
  }
  if (s->data->parts) {
    s->data->parts[2 * s->plan->n_outputs] += penalty * (double)b->rows;
    s->data->parts[2 * s->plan->n_outputs + 1] += (double)b->rows;
  }
  return loss;
}

/* The gradients of a batch alone. Without rows there are none. */
static void gradients_phase(const nnc_session *s, const nnc_run *run, nnc_thread *self, const nnc_batch *b) {
  if (b->rows) nnc_run_gradients(run, self, b->rows, NULL, 0);
  else if (self->rank == 0 && b->is_first) memset(run->grads, 0, s->plan->elements * sizeof *run->grads);
  nnc_barrier(self);
}

static void sum_gradients(nnc_session *s, const nnc_run *run) {
  const size_t n = s->plan->elements;
  run->grads[n] = s->is_last != 0;
  nnc_sum_over_ranks(run, run->grads, n + 1);
  s->is_last = run->grads[n] != 0;
}

/* Returns whether this was the last step of the session. */
static int parameters_phase(nnc_session *s, const nnc_run *run, nnc_thread *self, const nnc_batch *b, const nnc_update *update) {
  int is_last = s->is_last;
  if (s->plan->fused_update && !is_summing(s) && b->rows) {
    nnc_run_gradients(run, self, b->rows, update, !is_last);
    return is_last;
  }
  gradients_phase(s, run, self, b);
  if (is_summing(s)) {
    if (self->rank == 0) sum_gradients(s, run);
    nnc_barrier(self);
    if (s->failed) return 1;
    is_last = s->is_last;
  }
  nnc_run_update(run, self, update);
  if (is_last) return is_last;
  nnc_barrier(self);
  nnc_run_prepare(run, self);
  return is_last;
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

/* How many of the rows that a rank gives to a step are in `batches` batches from number `first` of the epoch on. */
static size_t rows_of_rank(const nnc_share *share, int rank, size_t first, size_t batches) {
  const size_t all = (size_t)share->rows[rank], each = (size_t)share->batch[rank], start = first * each;
  return start >= all ? 0 : all - start < batches * each ? all - start : batches * each;
}

static size_t rows_of_lower_ranks(const nnc_session *s, const nnc_batch *b) {
  const nnc_share *share = s->data->share;
  const size_t number = share->first + (b->start - s->first) / s->batch;
  size_t rows = 0;
  for (int r = 0; r < s->plan->ranks.rank; r++) rows += rows_of_rank(share, r, number, 1);
  return rows;
}

/* Forward, loss and backward of a batch; returns non-zero if a call into Python has failed. Gradients follow. */
static int run_batch(nnc_session *s, nnc_run *run, nnc_thread *self, const nnc_batch *b, double *loss) {
  run->rows = b->rows;
  run->pass = b->number;
  run->accumulates = !b->is_first;
  if (s->data->share) run->rows_before = rows_of_lower_ranks(s, b);
  samples_phase(s, run, self, b);
  if (s->failed) return 1;
  nnc_barrier(self);
  if (self->rank == 0) *loss = record_losses(s, run, b);
  return 0;
}

/* The batches of a step before the last one, which only add up gradients. Leaves in *b the last one. */
static __attribute__((cold)) int run_all_but_last(nnc_session *s, nnc_run *run, nnc_thread *self, nnc_batch *b, double *loss) {
  const size_t end = b->start + b->rows;
  b->is_last = 0;
  for (; b->number + 1 < b->count; b->start += s->batch, b->number++, b->is_first = 0) {
    b->rows = b->start >= end ? 0 : end - b->start < s->batch ? end - b->start : s->batch;
    if (run_batch(s, run, self, b, loss)) return 1;
    gradients_phase(s, run, self, b);
  }
  b->rows = b->start < end ? end - b->start : 0;
  b->is_last = 1;
  return 0;
}

/* The same for this rank's rows, with the divisors of the rows of all ranks. */
static nnc_batch shared_step(const nnc_session *s, size_t step, double *total) {
  const nnc_plan *plan = s->plan;
  const nnc_share *share = s->data->share;
  const size_t batches = s->step_rows / s->batch, number = share->first + step * batches;
  nnc_batch b = {.start = s->first + step * s->step_rows, .count = 1, .is_first = 1, .is_last = 1, .total = total};
  double all = 0;
  b.rows = rows_of_rank(share, plan->ranks.rank, number, batches);
  for (int r = 0; r < plan->ranks.ranks; r++) {
    if (plan->ranks.apart && r != plan->ranks.rank) continue;
    const size_t rows = rows_of_rank(share, r, number, batches), each = (size_t)share->batch[r];
    all += (double)rows;
    if (rows > b.count * each) b.count = (rows + each - 1) / each;
  }
  for (int i = 0; i < plan->n_outputs; i++)
    total[i] = plan->output_loss[i].reduction == NNC_SUM ? 1
               : share->totals                           ? share->totals[step * (size_t)plan->n_outputs + (size_t)i]
                                                         : all * (double)plan->value[plan->output_loss[i].prediction].lines;
  if (!s->data->part) return b;
  b.number = s->data->part->number;
  b.count = b.number + 1;
  b.is_first = b.number == 0;
  b.is_last = s->data->part->is_last;
  b.total = s->data->part->totals;
  return b;
}

/* The data of a session's step, as if they were one batch. total: memory for the divisors. */
static nnc_batch whole_step(const nnc_session *s, size_t step, double *total) {
  const nnc_part *part = s->data->part;
  if (s->data->share) return shared_step(s, step, total);
  const size_t start = s->first + step * s->step_rows, left = s->data->rows - start,
               rows = left < s->step_rows ? left : s->step_rows;
  if (part) return (nnc_batch){start, rows, part->number, part->number + 1, part->number == 0, part->is_last, part->totals};
  for (int i = 0; i < s->plan->n_outputs; i++)
    total[i] = nnc_output_total_weight(&s->plan->output_loss[i], s->plan, s->data, start, rows);
  return (nnc_batch){start, rows, 0, rows > s->batch ? (rows + s->batch - 1) / s->batch : 1, 1, 1, total};
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
    const int is_end = batch.start + batch.rows == s->data->rows && !s->data->share;
    nnc_update update = nnc_update_scalars(s->plan, s->lr[step], done + (int64_t)step);
    update.penalty_scale = penalty_scale(s->plan, batch.total);
    run.step = done + (int64_t)step;
    run.keeps_rows = run.step == next_probe;
    if (s->plan->stateful) carry_states(s, &run, step);
    if (self->rank == 0) s->is_last = step + 1 == s->max_steps || is_end || (step >= s->clock_at && is_late(s, step));
    if ((batch.number + 1 < batch.count && run_all_but_last(s, &run, self, &batch, &s->loss[step])) ||
        run_batch(s, &run, self, &batch, &s->loss[step])) {
      if (self->rank == 0) s->done = step;
      return;
    }
    if (!batch.is_last) { /* more batches of the step follow, in other calls */
      gradients_phase(s, &run, self, &batch);
      if (self->rank == 0) s->done = 1;
      return;
    }
    nnc_probe *probe = run.step == next_probe ? s->data->probe : NULL;
    if (probe) next_probe = nnc_probe_next(probe, run.step + 1);
    if (probe) {
      nnc_probe_before(&run, self, probe);
      nnc_barrier(self);
    }
    const int is_last = parameters_phase(s, &run, self, &batch, &update);
    if (s->failed) { /* to sum over ranks */
      if (self->rank == 0) s->done = step;
      return;
    }
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
  const nnc_share *share = data->share; /* the caller then counts the steps: they do not end with the rows of this rank */
  if ((first >= data->rows && !share) || !max_steps) return 0;
  const size_t largest = batch < data->rows ? batch : data->rows, most = data->accumulate > 1 ? data->accumulate : 1;
  const size_t step_rows = share                       ? batch * most
                           : most == 1                 ? largest
                           : data->rows / most < batch ? data->rows
                                                       : batch * most; /* no overflow */
  const size_t left = share ? max_steps : (data->rows - first + step_rows - 1) / step_rows;
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
    if (s.done && share) plan->carried_rows = rows_of_rank(share, plan->ranks.rank, share->first + (done - 1) * most, most);
    else if (s.done)
      plan->carried_rows = data->rows - first < done * step_rows ? data->rows - first - (done - 1) * step_rows : step_rows;
    if (s.failed) break;
    if (wanted > 1 && s.done)
      nnc_autotune_report(&plan->autotune, (double)(s.done * (largest == batch ? step_rows : largest)), now - before);
    if (share && !plan->ranks.apart) break; /* the ranks have agreed to stop here */
  }
  return done;
}
