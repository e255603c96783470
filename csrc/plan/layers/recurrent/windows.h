/* windows.h: a recurrent layer in a run, for its forward and backward passes: the positions of its memory, by group of samples, and
 * the window of samples and time steps that is being processed. Typed; see engine.h. */
#ifndef NNC_PLAN_RECURRENT_WINDOWS_H
#define NNC_PLAN_RECURRENT_WINDOWS_H

#include <string.h>

#include "plan/engine.h"
#include "plan/int8.h"
#include "plan/layers/recurrent/recurrent.h"

typedef struct {
  nnc_recurrent r;
  nnc_regions regions;
  nnc_packed packed;
  real *base, *weights; /* regions, and derived weights */
  size_t capacity;      /* samples for which there is memory */
  size_t samples;       /* of the batch */
  size_t slots;         /* time steps for which there is memory */
  int training;
  int drops; /* recurrent dropout is active */
} nnc_recurrent_layer;

#define nnc_recurrent_layer_of NNC_TYPED(nnc_recurrent_layer_of)
#define nnc_recurrence_of NNC_TYPED(nnc_recurrence_of)
#define nnc_recurrent_forward_groups NNC_TYPED(nnc_recurrent_forward_groups)
#define nnc_recurrent_backward_groups NNC_TYPED(nnc_recurrent_backward_groups)
#define nnc_recurrent_gradient NNC_TYPED(nnc_recurrent_gradient)

/* A group of samples. The last group of a batch may be smaller. */
typedef struct {
  size_t first, count;
} nnc_group;

static inline nnc_group group_at(const nnc_recurrent_layer *l, size_t first) {
  const size_t left = l->samples - first;
  return (nnc_group){first, left < l->r.group ? left : l->r.group};
}

/* Samples [first, last), which are groups of the same size, time steps [from, to) of direction d. */
typedef struct {
  size_t first, last, from, to, d;
} nnc_window;

/* recurrent_typed.c: the layer, for a batch of this many samples, and the common parts of forward and backward of a window. */
nnc_recurrent_layer nnc_recurrent_layer_of(const nnc_run *run, const nnc_op *op, size_t samples);
nnc_recurrence nnc_recurrence_of(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w);

/* forward_typed.c and backward_typed.c: samples [first, last), which are groups of the same size. */
void nnc_recurrent_forward_groups(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, size_t first, size_t last);
void nnc_recurrent_backward_groups(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, size_t first, size_t last);
void nnc_recurrent_gradient(const nnc_run *run, const nnc_op *op, const nnc_task *task, size_t rows);

/* gru_before_typed.c: a window of GRU(reset_after=False). `int8` has its products with weights of 8-bit integers. */
typedef struct nnc_int8_products nnc_int8_products;

/* Some rows of such a window, with their part of the scratch memory: states or what is carried, operands, products. */
typedef struct {
  const nnc_run *run;
  const nnc_op *op;
  const nnc_recurrent_layer *l;
  const nnc_window *w;
  const nnc_recurrence *c;
  const nnc_int8_products *int8;
  size_t first, rows, ld;
  real *h, *left, *operand, *product; /* [rows, ld], the same, and [rows, 3 ld] twice */
} nnc_before;
#define nnc_before_forward_window NNC_TYPED(nnc_before_forward_window)
#define nnc_before_backward_window NNC_TYPED(nnc_before_backward_window)
void nnc_before_forward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                               const nnc_recurrence *c, const nnc_int8_products *int8);
void nnc_before_backward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                const nnc_recurrence *c);

/* bf16.c: the same for a window, and the parts of the driver that differ, where products take bfloat16; for float32 alone. A window
 * is one group. */
#if NNC_BUILD_F64
static inline void nnc_bf16_forward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                           const nnc_recurrence *c) {
  (void)run, (void)op, (void)l, (void)w, (void)c;
}
static inline void nnc_bf16_backward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                            const nnc_recurrence *c) {
  (void)run, (void)op, (void)l, (void)w, (void)c;
}
static inline void nnc_bf16_recurrent_gradient(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l,
                                               const nnc_task *task) {
  (void)run, (void)op, (void)l, (void)task;
}
static inline void nnc_bf16_recurrent_prepare(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l,
                                              const nnc_task *task) {
  (void)run, (void)op, (void)l, (void)task;
}
static inline double nnc_bf16_step_squares(const nnc_recurrent_layer *l, size_t d, size_t t) {
  (void)l, (void)d, (void)t;
  return 0;
}
#else
void nnc_bf16_forward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                             const nnc_recurrence *c);
void nnc_bf16_backward_window(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                              const nnc_recurrence *c);
void nnc_bf16_recurrent_gradient(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_task *task);
void nnc_bf16_recurrent_prepare(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_task *task);
/* The sum of squares of the gradients before the nonlinearities of a step. */
double nnc_bf16_step_squares(const nnc_recurrent_layer *l, size_t d, size_t t);
#endif

/* int8.c: the products of an inference with weights of 8-bit integers; for float32 alone. nnc_int8_use_state lets the cells of a window
 * take their recurrent products from `products`, which the caller keeps. */
struct nnc_int8_products {
  const nnc_low_kernels *k;
  nnc_int8_weight weight;
  nnc_int8_rows rows;
  const real *bias;
  real *z;
  size_t ldz;
};
#if NNC_BUILD_F64
static inline void nnc_int8_input_products(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                           const nnc_recurrence *c) {
  (void)run, (void)op, (void)l, (void)w, (void)c;
}
static inline void nnc_int8_use_state(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                      nnc_recurrence *c, nnc_int8_products *products) {
  (void)run, (void)op, (void)l, (void)w, (void)c, (void)products;
}
static inline const real *nnc_int8_before(const nnc_int8_products *p, const real *left, size_t rows, size_t left_row, size_t gate,
                                          size_t gates, size_t *row) {
  (void)p, (void)left, (void)rows, (void)left_row, (void)gate, (void)gates, (void)row;
  return NULL;
}
static inline void nnc_bf16_before_inputs(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                                          const nnc_recurrence *c) {
  (void)run, (void)op, (void)l, (void)w, (void)c;
}
static inline void nnc_bf16_before(const nnc_before *b, size_t t, const real *left, size_t left_row, size_t gate, size_t gates,
                                   const real *bias) {
  (void)b, (void)t, (void)left, (void)left_row, (void)gate, (void)gates, (void)bias;
}
static inline void nnc_bf16_before_back(const nnc_before *b, size_t gate, size_t gates) { (void)b, (void)gate, (void)gates; }
static inline void nnc_bf16_before_pack(const nnc_before *b, size_t t, size_t gate, size_t gates) {
  (void)b, (void)t, (void)gate, (void)gates;
}
static inline void nnc_bf16_before_dx(const nnc_before *b, size_t t) { (void)b, (void)t; }
#else
void nnc_int8_input_products(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                             const nnc_recurrence *c);
void nnc_int8_use_state(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w, nnc_recurrence *c,
                        nnc_int8_products *products);
/* The products of some gates with rows of `left`; returns where they are, *row apart. */
const float *nnc_int8_before(const nnc_int8_products *p, const float *left, size_t rows, size_t left_row, size_t gate, size_t gates,
                             size_t *row);
/* gru_before_bf16.c: x W_ih + b_ih of a window; the products of a step, forward and backward; the gradients of some gates as operands, and the
 * gradient of x from them. */
void nnc_bf16_before_inputs(const nnc_run *run, const nnc_op *op, const nnc_recurrent_layer *l, const nnc_window *w,
                            const nnc_recurrence *c);
void nnc_bf16_before(const nnc_before *b, size_t t, const float *left, size_t left_row, size_t gate, size_t gates,
                     const float *bias);
void nnc_bf16_before_back(const nnc_before *b, size_t gate, size_t gates);
void nnc_bf16_before_pack(const nnc_before *b, size_t t, size_t gate, size_t gates);
void nnc_bf16_before_dx(const nnc_before *b, size_t t);
#endif

static inline real *region(const nnc_recurrent_layer *l, nnc_region i) { return l->base + l->regions.first[i] * l->capacity; }

/* Slot t of a group in a region that has `slots` rows, so far apart, per sample and direction. */
static inline real *slot_of(const nnc_recurrent_layer *l, nnc_region i, size_t d, nnc_group g, size_t slots, size_t t, size_t row) {
  return region(l, i) + ((d * l->capacity + g.first) * slots + t * g.count) * row;
}
static inline real *gates_of(const nnc_recurrent_layer *l, size_t d, nnc_group g, size_t t) {
  return slot_of(l, NNC_REGION_GATES, d, g, l->slots, t, l->regions.gates_row);
}
static inline real *h_of(const nnc_recurrent_layer *l, size_t d, nnc_group g, size_t t) {
  return slot_of(l, NNC_REGION_H, d, g, l->slots + 1, t, l->regions.state_row);
}
static inline real *x_of(const nnc_recurrent_layer *l, nnc_group g, size_t t) {
  return slot_of(l, NNC_REGION_X, 0, g, l->slots, t, l->regions.x_row);
}

/* A group's part of the weight gradients: rows of W_ih, of W_hh, and the sums of the columns of dgates. */
static inline real *partial_of(const nnc_recurrent_layer *l, size_t d, nnc_group g) {
  return region(l, NNC_REGION_PARTIAL) + (d * l->capacity + g.first) / NNC_SAMPLE_GROUP * l->regions.partial;
}

/* The mask of recurrent dropout for direction d, from sample `first` on; NULL where there is none. */
static inline real *mask_of(const nnc_recurrent_layer *l, size_t d, size_t first) {
  if (!l->drops) return NULL;
  return region(l, NNC_REGION_MASK) + (first * l->r.directions + d) * l->r.hidden;
}

/* The states of direction d that are passed from chunk to chunk, of all samples: [capacity, states, hidden]. */
static inline real *state_of(const nnc_recurrent_layer *l, size_t d) {
  return region(l, NNC_REGION_STATE) + d * l->capacity * l->r.states * l->r.hidden;
}

/* Direction d in a value that holds states: an initial one, of all sublayers, or the last one of this. */
static inline nnc_matrix states_in(const nnc_run *run, real *const *base, int value, size_t at, size_t first, size_t last) {
  const nnc_value *v = &run->plan->value[value];
  const size_t sample = v->lines * run->ld[value];
  return (nnc_matrix){base[value] + first * sample + at, last - first, 0, sample};
}

/* The position of direction d in the initial states of all sublayers. */
static inline size_t part_of(const nnc_recurrent *r, size_t d) { return (r->index * r->directions + d) * r->hidden; }

/* Copies rows of `cols` numbers, which are too few for a function call each. Where the compiler builds for size, memcpy would become a
 * string instruction, which takes longer than the copy. */
static inline void copy_rows(real *to, const real *from, size_t rows, size_t cols, size_t to_row, size_t from_row) {
  enum { LINE = 32 / sizeof(real) };
  typedef real line __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));
  for (size_t i = 0; i < rows; i++, to += to_row, from += from_row) {
    size_t j = 0;
    for (; j + LINE <= cols; j += LINE) *(line *)(to + j) = *(const line *)(from + j);
    for (; j < cols; j++) to[j] = from[j];
  }
}

/* The window that comes after `done` steps of direction d. */
static inline void next_window(nnc_window *w, size_t steps, size_t done, int from_the_end) {
  const size_t left = steps - done, n = left < NNC_RECURRENT_CHUNK ? left : NNC_RECURRENT_CHUNK;
  w->from = from_the_end ? left - n : done;
  w->to = w->from + n;
}

#endif
