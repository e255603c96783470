/* train_typed.c: training steps. One team for a whole chunk of steps; each step is
 *
 *   samples     every member fetches its samples and takes them forward, through the loss, and backward, alone
 *   barrier
 *   parameters  every member takes its tasks: gradient, update, and what the next step needs, while in cache; where the update
 *               needs the norm of gradients first or of weights after, or the network is small, it is a phase of its own
 *   barrier
 *
 * Which samples and tasks a member has does not change a bit of any result.
 */
#include "plan/run/output_losses.h"
#include "plan/run/probe.h"

typedef struct {
  nnc_plan *plan;
  const nnc_data *data;
  size_t batch, first, max_steps;
  const double *lr;
  double *loss;
  nnc_progress *progress;
  double deadline;
  size_t clock_every, look_at; /* member 0's: steps between looks at the clock, and the next step that has one */
  double looked;
  int failed;  /* a call out of the core has: written by member 0 before a barrier */
  int is_last; /* written by member 0 in the samples phase, read by all after the barrier */
  size_t done;
} nnc_session;

/* Of the batch, in the arena. */
static int64_t *lengths_of(const nnc_plan *plan) { return (int64_t *)plan->arena + plan->lengths; }

static nnc_head_rows head_rows(const nnc_session *s, const nnc_head *head) {
  real *arena = s->plan->arena;
  const nnc_weights *weights = nnc_weights_of(s->data, (int)(head - s->plan->head));
  return (nnc_head_rows){arena + head->target, arena + head->row_loss, weights ? arena + head->row_weight : NULL,
                         weights ? weights->width : 1, s->data->lengths ? lengths_of(s->plan) : NULL};
}

static void fetch(const nnc_session *s, const nnc_run *run, size_t start, size_t first, size_t last) {
  const nnc_plan *plan = s->plan;
  const nnc_data *data = s->data;
  for (size_t r = first; r < last && data->lengths; r++)
    lengths_of(plan)[r] = nnc_fetch_length(plan, data->lengths + (data->order ? (size_t)data->order[start + r] : start + r));
  for (int i = 0; i < plan->n_inputs; i++) {
    const size_t width = plan->value[i].lines * plan->value[i].cols;
    nnc_fetch(run->k, run->act[i], &data->x[i], data->order, start, first, last, width, nnc_value_elements(&plan->value[i]));
    nnc_clear_padding(run, run->act, i, first, last);
  }
  for (int i = 0; i < plan->n_outputs; i++) {
    const nnc_head *head = &plan->head[i];
    const size_t width = plan->value[head->output].lines * head->target_cols;
    nnc_fetch(run->k, head_rows(s, head).target, &data->y[i], data->order, start, first, last, width, width);
    const nnc_weights *w = nnc_weights_of(data, i);
    if (w) nnc_fetch(run->k, (real *)head_rows(s, head).weight, &w->source, data->order, start, first, last, w->width, w->width);
  }
}

static void one_head(const nnc_session *s, const nnc_run *run, const nnc_head *head, size_t start, size_t rows, size_t first,
                     size_t last) {
  const nnc_head_rows at = head_rows(s, head);
  nnc_head_loss(run, head, &at, first, last, head->weight / nnc_divisor(nnc_head_total(head, s->plan, s->data, start, rows)));
}

/* The caller's loss, or a loss and the caller's metrics: the whole batch at once, on the calling thread. */
static void whole_head(const nnc_session *s, const nnc_run *run, const nnc_head *head, size_t start, size_t rows) {
  nnc_barrier(run->self);
  if (run->self->rank == 0) {
    const nnc_head_rows at = head_rows(s, head);
    one_head(s, run, head, start, rows, 0, rows);
    if (head->statistic.called && !s->failed) nnc_head_watch(run, head, &at, rows);
  }
  nnc_barrier(run->self);
}

static void samples_phase(const nnc_session *s, const nnc_run *run, const nnc_member *self, size_t start, size_t rows) {
  const nnc_plan *plan = s->plan;
  size_t first, last;
  nnc_share_samples(self, rows, &first, &last);
  if (first < last) fetch(s, run, start, first, last);
  nnc_run_forward(run, first, last);
  if (s->failed) return;
  for (int i = 0; i < plan->n_outputs; i++) {
    const nnc_head *head = &plan->head[i];
    if (nnc_head_is_called(head)) whole_head(s, run, head, start, rows);
    else if (first < last) one_head(s, run, head, start, rows, first, last);
    if (s->failed) return;
  }
  nnc_run_backward(run, first, last);
  if (plan->n_penalty_pieces) nnc_run_penalties(run, self);
}

static double record(const nnc_session *s, const nnc_run *run, size_t start, size_t rows) {
  const double penalty = nnc_penalty_sum(s->plan);
  double loss = penalty;
  for (int i = 0; i < s->plan->n_outputs; i++) {
    const nnc_head *head = &s->plan->head[i];
    const nnc_head_rows at = head_rows(s, head);
    const double sum = nnc_head_sum(run, head, &at, rows, 0), total = nnc_head_total(head, s->plan, s->data, start, rows);
    loss += head->weight * sum / nnc_divisor(total);
    if (s->data->parts) {
      s->data->parts[2 * i] += sum;
      s->data->parts[2 * i + 1] += total;
    }
    if (s->data->statistics) nnc_head_statistic(run, head, &at, rows, s->data->statistics[i]);
  }
  if (s->data->parts) {
    s->data->parts[2 * s->plan->n_outputs] += penalty * (double)rows;
    s->data->parts[2 * s->plan->n_outputs + 1] += (double)rows;
  }
  return loss;
}

static void parameters_phase(const nnc_session *s, const nnc_run *run, nnc_member *self, size_t rows, const nnc_update *update,
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

/* A look at the clock costs as much as a small layer: there is one every 0.1 to 0.4 ms, or at every step while calls go out. */
static int is_late(nnc_session *s, size_t step) {
  const double now = nnc_now(), since = now - s->looked;
  if (since < 1e-4 && !nnc_calls_out(s->plan)) s->clock_every *= 2;
  else if (since > 4e-4 && s->clock_every > 1) s->clock_every /= 2;
  s->looked = now;
  s->look_at = step + s->clock_every;
  return now >= s->deadline;
}

static void train_member(nnc_member *self, void *context) {
  nnc_session *s = context;
  nnc_run run = nnc_training_run(s->plan, s->progress, self, 0);
  const int64_t done = run.step;
  int64_t next_look = nnc_probe_next(s->data->probe, done);
  run.training = run.loss = 1;
  if (s->data->lengths) run.lengths = lengths_of(s->plan);
  run.failed = &s->failed;
  nnc_run_prepare(&run, self);
  nnc_barrier(self);
  for (size_t step = 0;; step++) {
    const size_t start = s->first + step * s->batch, left = s->data->rows - start, rows = left < s->batch ? left : s->batch;
    const nnc_update update = nnc_update_scalars(s->plan, s->lr[step], done + (int64_t)step);
    run.step = done + (int64_t)step;
    run.rows = rows;
    if (s->plan->stateful) {
      const size_t turn = ((size_t)s->plan->carry_turn + step) % 2;
      run.initial = run.arena + s->plan->carried[turn];
      run.final = run.arena + s->plan->carried[1 - turn];
      run.carried = 1;
    }
    if (self->rank == 0) s->is_last = step + 1 == s->max_steps || rows == left || (step >= s->look_at && is_late(s, step));
    samples_phase(s, &run, self, start, rows);
    if (s->failed) {
      if (self->rank == 0) s->done = step;
      return;
    }
    nnc_barrier(self);
    const int is_last = s->is_last;
    nnc_probe *probe = run.step == next_look ? s->data->probe : NULL;
    if (probe) next_look = nnc_probe_next(probe, run.step + 1);
    if (self->rank == 0) s->loss[step] = record(s, &run, start, rows);
    if (probe) {
      nnc_probe_before(&run, self, probe);
      nnc_barrier(self);
    }
    parameters_phase(s, &run, self, rows, &update, !is_last);
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
  const size_t largest = batch < data->rows ? batch : data->rows, left = (data->rows - first + batch - 1) / batch;
  const double flops = 3 * plan->flops * (double)largest;
  const int wanted = nnc_threads_for(flops / 2);
  const int timed = wanted > 1 || max_steps > 1; /* a look at the clock costs as much as a small layer */
  const double start = timed ? nnc_now() : 0;
  size_t done = 0;
  double now = start;
  if (max_steps > left) max_steps = left;
  while (done < max_steps && (done == 0 || now < start + budget)) {
    double until;
    const int threads = nnc_pace_choose(&plan->pace, wanted, largest, now, &until);
    nnc_session s = {.plan = plan,
                     .data = data,
                     .batch = batch,
                     .first = first + done * batch,
                     .max_steps = max_steps - done,
                     .lr = lr + done,
                     .loss = loss + done,
                     .progress = progress,
                     .deadline = until < start + budget ? until : start + budget,
                     .clock_every = 1,
                     .looked = now};
    nnc_parallel(threads, train_member, &s);
    const double before = now;
    if (timed) now = nnc_now();
    progress->step += (int64_t)s.done;
    plan->carry_turn = (int)(((size_t)plan->carry_turn + s.done) % 2);
    done += s.done;
    if (s.done) plan->carried_rows = data->rows - first < done * batch ? data->rows - first - (done - 1) * batch : batch;
    if (s.failed) break;
    if (wanted > 1) nnc_pace_report(&plan->pace, threads, now, (now - before) / (double)(s.done * largest));
  }
  return done;
}
