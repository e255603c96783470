/* intra_op.c: see intra_op.h. What it remembers in the plan belongs to the call that has the crew. */
#include "plan/run/intra_op.h"

#include "base/clock.h"
#include "base/thread_pool.h"
#include "base/parallel.h"

static const double longest_slice = 10e-3; /* seconds between two looks at what the calls cost */
static const double longest_wait = 0.25;   /* and between two trials of the slower way: a neighbour that was busy may have gone */

/* The slice is over: say what it cost, and choose for the next one. The first calls after a choice are not counted: they wake helpers,
 * who may have to change processors, and find in their caches what the other way had there. */
static void next_slice(nnc_plan *plan, int wanted, size_t key, double now) {
  nnc_assist_slice *s = &plan->assist;
  if (s->calls > 0 && s->key == key) nnc_pace_report(&s->pace, s->threads, now, s->spent / s->calls);
  if (s->pace.probe_at > now + longest_wait) s->pace.probe_at = now + longest_wait;
  s->threads = nnc_pace_choose(&s->pace, wanted, key, now, &s->until);
  if (s->until > now + longest_slice) s->until = now + longest_slice;
  s->key = key;
  s->calls = -3;
  s->spent = 0;
}

nnc_assist nnc_assist_begin(nnc_plan *plan, size_t rows) {
  nnc_assist a = {.threads = 1};
  const int wanted = nnc_threads_for(plan->wide_flops * (double)rows);
  if (wanted <= 1 || nnc_forced_team() || !nnc_crew_take()) return a;
  const size_t key = rows << 16 | (size_t)wanted;
  a.has_crew = 1;
  a.began = nnc_now();
  a.counts = nnc_crew_in_rhythm(a.began);
  if (!a.counts) return a;
  if (a.began >= plan->assist.until || plan->assist.key != key) next_slice(plan, wanted, key, a.began);
  if (plan->assist.threads > 1) a.threads = nnc_crew_call(plan->assist.threads);
  return a;
}

void nnc_assist_end(nnc_plan *plan, const nnc_assist *a) {
  if (!a->has_crew) return;
  const double now = nnc_now();
  if (a->counts && plan->assist.calls++ >= 0) plan->assist.spent += now - a->began;
  nnc_crew_ends(now);
  nnc_crew_leave();
}
