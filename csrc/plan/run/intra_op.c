/* intra_op.c: see intra_op.h. Only the call that has acquired the pool uses the state in the plan. */
#include "plan/run/intra_op.h"

#include "base/clock.h"
#include "base/thread_pool.h"
#include "base/parallel.h"

static const double max_slice = 10e-3; /* seconds between two checks of the cost of calls */

/* Called at the end of a slice: report its cost and choose for the next one. The first calls after a change are not counted. They
 * wake workers, which may have to change processors. Returns the number of threads. */
static int next_slice(nnc_intra_op_slice *s, int wanted, size_t rows, double now) {
  double until;
  if (s->rows > 0 && nnc_autotune_fits(&s->autotune, wanted, rows)) nnc_autotune_report(&s->autotune, s->rows, s->spent);
  const int threads = nnc_autotune_choose(&s->autotune, wanted, rows, now, &until);
  if (s->autotune.others) return threads; /* this call is not part of a slice */
  s->until = until < now + max_slice ? until : now + max_slice;
  s->calls = threads == s->threads ? 0 : -3;
  s->threads = threads;
  s->rows = s->spent = 0;
  return threads;
}

nnc_intra_op nnc_intra_op_begin(nnc_plan *plan, size_t rows) {
  nnc_intra_op a = {.threads = 1, .rows = rows};
  nnc_intra_op_slice *s = &plan->intra_op;
  const int wanted = nnc_threads_for(plan->wide_flops * (double)rows);
  if (wanted <= 1 || nnc_forced_threads() || !nnc_pool_acquire()) return a;
  a.has_pool = 1;
  a.began = nnc_now();
  if (!nnc_pool_is_warm(a.began)) return a;
  a.counts = nnc_autotune_fits(&s->autotune, wanted, rows);
  a.threads = a.counts && (a.began < s->until || s->rows == 0) ? s->threads : next_slice(s, wanted, rows, a.began);
  if (a.threads > 1) a.threads = nnc_pool_wake(a.threads);
  return a;
}

void nnc_intra_op_end(nnc_plan *plan, const nnc_intra_op *a) {
  if (!a->has_pool) return;
  nnc_intra_op_slice *s = &plan->intra_op;
  const double now = nnc_now();
  if (a->counts && s->calls++ >= 0) {
    s->rows += (double)a->rows;
    s->spent += now - a->began;
  }
  nnc_pool_mark_idle(now);
  nnc_pool_release();
}
