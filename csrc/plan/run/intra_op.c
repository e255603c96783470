/* intra_op.c: see intra_op.h. Only the call that has acquired the pool uses the state in the plan. */
#include "plan/run/intra_op.h"

#include "base/clock.h"
#include "base/thread_pool.h"
#include "base/parallel.h"

static const double max_slice = 10e-3; /* seconds between two checks of the cost of calls */
static const double max_retry = 0.25;  /* and between two trials of the slower choice, as other programs may have stopped */

/* Called at the end of a slice: report its cost and choose for the next one. The first calls after a choice are not counted. They
 * wake workers, which may have to change processors, and their caches still contain the data of the other choice. */
static void next_slice(nnc_plan *plan, int wanted, size_t key, double now) {
  nnc_intra_op_slice *s = &plan->intra_op;
  if (s->calls > 0 && s->key == key) nnc_autotune_report(&s->autotune, s->threads, now, s->spent / s->calls);
  if (s->autotune.probe_at > now + max_retry) s->autotune.probe_at = now + max_retry;
  s->threads = nnc_autotune_choose(&s->autotune, wanted, key, now, &s->until);
  if (s->until > now + max_slice) s->until = now + max_slice;
  s->key = key;
  s->calls = -3;
  s->spent = 0;
}

nnc_intra_op nnc_intra_op_begin(nnc_plan *plan, size_t rows) {
  nnc_intra_op a = {.threads = 1};
  const int wanted = nnc_threads_for(plan->wide_flops * (double)rows);
  if (wanted <= 1 || nnc_forced_threads() || !nnc_pool_acquire()) return a;
  const size_t key = rows << 16 | (size_t)wanted;
  a.has_pool = 1;
  a.began = nnc_now();
  a.counts = nnc_pool_is_warm(a.began);
  if (!a.counts) return a;
  if (a.began >= plan->intra_op.until || plan->intra_op.key != key) next_slice(plan, wanted, key, a.began);
  if (plan->intra_op.threads > 1) a.threads = nnc_pool_wake(plan->intra_op.threads);
  return a;
}

void nnc_intra_op_end(nnc_plan *plan, const nnc_intra_op *a) {
  if (!a->has_pool) return;
  const double now = nnc_now();
  if (a->counts && plan->intra_op.calls++ >= 0) plan->intra_op.spent += now - a->began;
  nnc_pool_mark_idle(now);
  nnc_pool_release();
}
