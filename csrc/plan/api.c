/* api.c: the untyped interface, which calls the engine of the plan's dtype; and the shuffle, which has no dtype. */
#include "base/philox.h"
#include "plan/plan.h"

#define ENGINE(plan, call) ((plan)->dtype == NNC_F32 ? nnc_##call##_f32 : nnc_##call##_f64)

size_t nnc_plan_train(nnc_plan *plan, const nnc_data *data, size_t batch, size_t first, size_t max_steps, const double *lr,
                      double *loss, nnc_progress *progress, double budget) {
  return ENGINE(plan, train)(plan, data, batch, first, max_steps, lr, loss, progress, budget);
}

nnc_status nnc_plan_evaluate(nnc_plan *plan, const nnc_data *data, size_t first, double *sums, size_t *next, double budget,
                             nnc_error *error) {
  return ENGINE(plan, evaluate)(plan, data, first, sums, next, budget, error);
}

nnc_status nnc_plan_predict(nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, size_t first,
                            void *const *out, size_t *next, double budget, nnc_error *error) {
  return ENGINE(plan, predict)(plan, x, sequences, rows, first, out, next, budget, error);
}

void nnc_plan_forward(nnc_plan *plan, const nnc_source *x, const nnc_sequences *sequences, size_t rows, int training,
                      void *const *out, const nnc_progress *progress) {
  ENGINE(plan, forward)(plan, x, sequences, rows, training, out, progress);
}

void nnc_plan_backward(nnc_plan *plan, const nnc_sequences *sequences, size_t rows, const void *const *grad_outputs,
                       void *const *grad_inputs, int training, int accumulate, const nnc_progress *progress) {
  ENGINE(plan, backward)(plan, sequences, rows, grad_outputs, grad_inputs, training, accumulate, progress);
}

void nnc_plan_step_norms(const nnc_plan *plan, int op, size_t rows, double *norms) {
  ENGINE(plan, step_norms)(plan, op, rows, norms);
}

nnc_status nnc_plan_freeze(nnc_plan *plan, nnc_error *error) {
  if (!plan->packed) plan->packed = nnc_alloc(plan->packed_elements * plan->element);
  if (!plan->packed) return nnc_fail(error, NNC_ERROR_MEMORY, "no memory for the packed weights of recurrent layers");
  ENGINE(plan, pack)(plan, plan->packed);
  return NNC_OK;
}

void nnc_plan_total_weights(const nnc_plan *plan, const nnc_data *data, size_t rows, double *totals) {
  ENGINE(plan, total_weights)(plan, data, rows, totals);
}

double nnc_plan_penalty(const nnc_plan *plan) { return ENGINE(plan, penalty)(plan); }

void nnc_plan_apply(nnc_plan *plan, double lr, nnc_progress *progress) { ENGINE(plan, apply)(plan, lr, progress); }
