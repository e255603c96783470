/* step_by_step_typed.c: the parts of a step, for training loops written by hand. No loss is attached, so activations are never
 * fused into one, and backward starts from the gradients that the caller gives.
 *
 * Inputs are copied, because the caller may change them before backward. Results and gradients are computed in the caller's arrays
 * if the op there can do so, and otherwise copied. */
#include <string.h>

#include "plan/engine.h"

typedef struct {
  nnc_plan *plan;
  const nnc_source *x;
  const nnc_sequences *sequences;
  size_t rows;
  int training, accumulate;
  void *const *out;
  const void *const *grad_outputs;
  void *const *grad_inputs;
  const nnc_progress *progress;
  double lr;
  int failed;
} nnc_piece;

static int threads_for(const nnc_piece *p, double passes) { return nnc_threads_for(passes * p->plan->flops * (double)p->rows); }

static void copy(nnc_matrix to, nnc_matrix from) {
  for (size_t i = 0; i < to.rows; i++) memcpy(to.at + i * to.ld, from.at + i * from.ld, to.cols * sizeof(real));
}

static nnc_matrix dense(const void *at, nnc_matrix like, size_t first_row) {
  return (nnc_matrix){(real *)at + first_row * like.cols, like.rows, like.cols, like.cols};
}

/* Whether stateful layers start this batch with the states that the last training batch left, and leave theirs for the next one. */
static int carries(const nnc_piece *p) {
  const int given = p->sequences && (p->sequences->initial || p->sequences->final);
  return p->plan->stateful && p->training && !given;
}

/* Forward copies the lengths, as it copies the inputs. */
static void take_sequences(const nnc_piece *p, nnc_run *run) {
  if (!p->sequences) return;
  if (p->sequences->lengths) run->lengths = (int64_t *)p->plan->arena + p->plan->lengths;
  run->initial = p->sequences->initial;
  run->final = p->sequences->final;
}

/* The states of the batch before stay in their memory, so that a forward pass that fails leaves them as they were. */
static void take_carried(const nnc_piece *p, nnc_run *run) {
  if (!carries(p)) return;
  run->initial = run->arena + p->plan->carried[p->plan->carry_turn];
  run->final = run->arena + p->plan->carried[1 - p->plan->carry_turn];
  run->carried = 1;
}

static void leave_carried(const nnc_piece *p) {
  if (!carries(p) || p->failed) return;
  p->plan->carry_turn = 1 - p->plan->carry_turn;
  p->plan->carried_rows = p->rows;
}

/* During a call, inputs and outputs of the network are in the caller's arrays if possible. */
static void use_external(const nnc_plan *plan, void **table, int value, const void *array) {
  if (array && nnc_may_be_external(plan, value)) table[value] = (void *)array;
}

static void use_own(const nnc_plan *plan, void **table, int value) {
  const nnc_value *root = &plan->value[plan->value[value].alias];
  table[value] = (real *)plan->arena + (table == plan->act ? root->act : root->grad);
}

static void forward_thread(nnc_thread *self, void *context) {
  const nnc_piece *p = context;
  const nnc_plan *plan = p->plan;
  nnc_run run = nnc_training_run(plan, p->progress, self, p->rows);
  size_t first, last;
  run.training = p->training;
  run.failed = (int *)&p->failed;
  nnc_partition_samples(plan, self, p->rows, &first, &last);
  take_sequences(p, &run);
  take_carried(p, &run);
  if (plan->carry || plan->n_bf16) { /* recurrent layers and those in bfloat16 read packed weights in both directions */
    nnc_run_prepare(&run, self);
    nnc_barrier(self);
  }
  for (int i = 0; i < plan->n_inputs && first < last; i++) {
    nnc_fetch(run.k, run.act[i], &p->x[i], NULL, 0, first, last, plan->value[i].lines * plan->value[i].cols,
              nnc_value_elements(&plan->value[i]));
    nnc_clear_padding(&run, run.act, i, first, last);
  }
  nnc_run_forward(&run, first, last);
  if (p->failed) return;
  for (int i = 0; i < plan->n_outputs; i++) {
    if (plan->act[plan->output[i]] == p->out[i]) continue;
    const nnc_matrix y = nnc_samples(&run, run.act, plan->output[i], first, last);
    copy(dense(p->out[i], y, first * plan->value[plan->output[i]].lines), y);
  }
}

void NNC_TYPED(nnc_forward)(nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, int training,
                            void *const *out, const nnc_progress *progress) {
  nnc_piece p = {
      .plan = plan, .x = x, .sequences = sequences, .rows = rows, .training = training, .out = out, .progress = progress};
  int64_t *lengths = (int64_t *)plan->arena + plan->lengths;
  for (size_t i = 0; i < rows && sequences && sequences->lengths; i++)
    nnc_take_length(plan, lengths + i, plan->rows_reserved, sequences->lengths + i);
  for (int i = 0; i < plan->n_outputs; i++) use_external(plan, plan->act, plan->output[i], out[i]);
  nnc_parallel(threads_for(&p, 1), nnc_plan_has_tiles(plan), forward_thread, &p);
  leave_carried(&p);
  for (int i = 0; i < plan->n_outputs; i++) use_own(plan, plan->act, plan->output[i]);
}

static void backward_thread(nnc_thread *self, void *context) {
  const nnc_piece *p = context;
  const nnc_plan *plan = p->plan;
  nnc_run run = nnc_training_run(plan, p->progress, self, p->rows);
  size_t first, last;
  run.training = p->training;
  run.accumulates = p->accumulate;
  take_sequences(p, &run);
  run.failed = (int *)&p->failed;
  for (int i = 0; i < plan->n_inputs; i++) run.input_grads |= p->grad_inputs[i] != NULL;
  nnc_run_prepare(&run, self);
  nnc_barrier(self);
  nnc_partition_samples(plan, self, p->rows, &first, &last);
  for (int i = 0; i < plan->n_outputs; i++) {
    if (plan->grad[plan->output[i]] == p->grad_outputs[i]) continue;
    const nnc_matrix dy = nnc_samples(&run, run.grad, plan->output[i], first, last);
    copy(dy, dense(p->grad_outputs[i], dy, first * plan->value[plan->output[i]].lines));
    nnc_clear_padding(&run, run.grad, plan->output[i], first, last);
  }
  nnc_run_backward(&run, first, last);
  if (p->failed) return;
  for (int i = 0; i < plan->n_inputs; i++) {
    const nnc_matrix dx = nnc_samples(&run, run.grad, i, first, last);
    if (p->grad_inputs[i] && plan->grad[i] != p->grad_inputs[i])
      copy(dense(p->grad_inputs[i], dx, first * plan->value[i].lines), dx);
  }
  nnc_barrier(self);
  nnc_run_gradients(&run, self, p->rows, NULL, 0);
}

void NNC_TYPED(nnc_backward)(nnc_plan *plan, const nnc_sequences *sequences, size_t rows, const void *const *grad_outputs,
                             void *const *grad_inputs, int training, int accumulate, const nnc_progress *progress) {
  nnc_piece p = {.plan = plan,
                 .sequences = sequences,
                 .rows = rows,
                 .training = training,
                 .accumulate = accumulate,
                 .grad_outputs = grad_outputs,
                 .grad_inputs = grad_inputs,
                 .progress = progress};
  const int padded = sequences && sequences->lengths; /* if so, zeros replace the caller's values in the padding */
  for (int i = 0; i < plan->n_outputs; i++)
    if (!padded || !plan->value[plan->output[i]].timed) use_external(plan, plan->grad, plan->output[i], grad_outputs[i]);
  for (int i = 0; i < plan->n_inputs; i++) use_external(plan, plan->grad, i, grad_inputs[i]);
  nnc_parallel(threads_for(&p, 2), nnc_plan_has_tiles(plan), backward_thread, &p);
  for (int i = 0; i < plan->n_outputs; i++) use_own(plan, plan->grad, plan->output[i]);
  for (int i = 0; i < plan->n_inputs; i++) use_own(plan, plan->grad, i);
}

static void apply_thread(nnc_thread *self, void *context) {
  const nnc_piece *p = context;
  const nnc_run run = nnc_training_run(p->plan, p->progress, self, 0);
  const nnc_update update = nnc_update_scalars(p->plan, p->lr, p->progress->step);
  nnc_run_update(&run, self, &update);
}

void NNC_TYPED(nnc_apply)(nnc_plan *plan, double lr, nnc_progress *progress) {
  if (progress->step == INT64_MAX) return;
  nnc_piece p = {.plan = plan, .progress = progress, .lr = lr};
  nnc_parallel(nnc_threads_for(2.0 * (double)plan->elements), nnc_plan_has_tiles(plan), apply_thread, &p);
  progress->step++;
  progress->pass = 0;
  nnc_count_changes(plan);
}
