/* fuse.c: merging of op records. Fusion changes the position of a result and how often memory is read, never the value.
 *
 * linear -> element-wise activation    the activation becomes the epilogue of the product
 * batch_norm, layer_norm -> the same   likewise, where its derivative needs the result alone
 * linear -> row-wise activation        in place, since the backward pass of a product does not need its result
 * add, multiply, ... -> activation      in place likewise, where the derivative needs the activation's result alone
 * flatten, reshape, identity           a view, unless a padded line becomes several
 * sigmoid / softmax -> cross-entropy   while training, the loss takes the logits, also through a view of them (nnc_fuse_losses)
 */
#include "ops/registry.h"
#include "plan/plan.h"

/* The op that produces `value` if it has only one reader, or NULL. */
static nnc_op *sole_producer(nnc_plan *plan, int value) {
  const nnc_value *v = &plan->value[value];
  return v->producer == NNC_NONE || v->uses != 1 ? NULL : &plan->op[v->producer];
}

static void make_view(nnc_plan *plan, nnc_op *op) {
  nnc_value *out = &plan->value[op->out], *in = &plan->value[op->spec.input[0]];
  op->skipped = 1;
  out->alias = in->alias;
  /* A single dense line and several are the same memory; the padding of a wide line is kept. */
  out->ld = out->lines == 1 ? in->lines * in->ld : in->lines == out->lines ? in->ld : out->cols;
}

static int is_view(const nnc_plan *plan, const nnc_op *op) {
  const nnc_value *in = &plan->value[op->spec.input[0]], *out = &plan->value[op->out];
  switch (op->spec.kind) {
    case NNC_LAYER_flatten: return 1;
    case NNC_LAYER_reshape: return in->lines > 1 || out->lines == 1 || in->ld == in->cols;
    case NNC_LAYER_activation: return op->spec.code == NNC_ACTIVATION_identity;
    default: return 0;
  }
}

static int is_norm(const nnc_op *op) { return op->spec.kind == NNC_LAYER_batch_norm || op->spec.kind == NNC_LAYER_layer_norm; }

static int is_merge(const nnc_op *op) {
  const int kind = op->spec.kind;
  return kind == NNC_LAYER_add || kind == NNC_LAYER_multiply || kind == NNC_LAYER_maximum || kind == NNC_LAYER_concat;
}

static void fuse_activation(nnc_plan *plan, nnc_op *op) {
  const int code = op->spec.code, in = op->spec.input[0];
  nnc_op *before = sole_producer(plan, in);
  plan->value[op->out].ld = plan->value[in].ld; /* so that a loss kernel can read one and write the other */
  if (!before || before->epilogue != NNC_NONE) return;
  const int after_norm = is_norm(before) && !nnc_activations[code].is_row && !nnc_activations[code].saves_input;
  if (is_merge(before) && !nnc_activations[code].saves_input && before->out == in)
    plan->value[op->out].alias = plan->value[in].alias;
  if (before->spec.kind != NNC_LAYER_linear && !after_norm) return;
  if (nnc_activations[code].is_row) {
    if (before->out == in) plan->value[op->out].alias = plan->value[in].alias;
    return;
  }
  before->epilogue = code;
  before->epilogue_attr = op->spec.attr;
  before->out = op->out;
  before->pre = nnc_activations[code].saves_input ? in : op->out;
  if (before->pre == op->out) plan->value[in].alias = op->out;
  plan->value[op->out].producer = (int)(before - plan->op);
  op->skipped = 1;
}

void nnc_fuse(nnc_plan *plan) {
  for (int i = 0; i < plan->n_ops; i++) {
    nnc_op *op = &plan->op[i];
    if (is_view(plan, op)) make_view(plan, op);
    else if (op->spec.kind == NNC_LAYER_activation) fuse_activation(plan, op);
  }
}

int nnc_logits_kernel(int loss) {
  switch (loss) {
#define LOGITS(name) \
  case NNC_LOSS_##name: return NNC_LOSS_##name##_logits;
    LOGITS(binary_crossentropy)
    LOGITS(weighted_binary_crossentropy)
    LOGITS(binary_focal_crossentropy)
    LOGITS(categorical_crossentropy)
    LOGITS(sparse_categorical_crossentropy)
    LOGITS(categorical_focal_crossentropy)
    LOGITS(sparse_categorical_focal_crossentropy)
#undef LOGITS
    default: return NNC_NONE;
  }
}

/* Whether activation `code` and a cross-entropy are one stable function of the logits. */
static int stable_pair(int code, int loss) {
  switch (loss) {
    case NNC_LOSS_binary_crossentropy:
    case NNC_LOSS_weighted_binary_crossentropy:
    case NNC_LOSS_binary_focal_crossentropy: return code == NNC_ACTIVATION_sigmoid;
    default: return code == NNC_ACTIVATION_softmax && nnc_logits_kernel(loss) != NNC_NONE;
  }
}

/* Whether an op other than `reader` reads the memory of `value`, possibly through a view, or users see it. */
static int is_shared(const nnc_plan *plan, int value, const nnc_op *reader, int output) {
  const int root = plan->value[value].alias;
  for (int i = 0; i < plan->n_ops; i++)
    for (int j = 0; j < plan->op[i].spec.n_inputs; j++)
      if (!plan->op[i].skipped && &plan->op[i] != reader && plan->value[plan->op[i].spec.input[j]].alias == root) return 1;
  for (int i = 0; i < plan->n_outputs; i++)
    if (plan->output[i] != reader->out && plan->output[i] != output && plan->value[plan->output[i]].alias == root) return 1;
  return 0;
}

/* The value behind views of the same rows and columns, or the value itself if it is not a view. NNC_NONE if one of them has another
 * reader. */
static int behind_views(const nnc_plan *plan, int value) {
  const nnc_value *shown = &plan->value[value];
  for (;;) {
    const nnc_value *v = &plan->value[value];
    if (v->uses != 1 || v->producer == NNC_NONE || v->lines != shown->lines || v->cols != shown->cols) return NNC_NONE;
    if (!is_view(plan, &plan->op[v->producer])) return value;
    value = plan->op[v->producer].spec.input[0];
  }
}

void nnc_fuse_losses(nnc_plan *plan) {
  for (int i = 0; i < plan->n_ops; i++) plan->op[i].loss_fused = 0;
  for (int i = 0; i < plan->n_outputs; i++) {
    nnc_output_loss *out = &plan->output_loss[i];
    out->loss_input = out->prediction = plan->output[i];
    if (out->logits_kernel) continue; /* the user has declared these as logits */
    const int seen = nnc_logits_kernel(out->loss) != NNC_NONE ? behind_views(plan, out->prediction) : NNC_NONE;
    if (seen == NNC_NONE) continue;
    nnc_op *op = &plan->op[plan->value[seen].producer];
    const int epilogue = op->spec.kind == NNC_LAYER_linear || is_norm(op);
    const int code = epilogue ? op->epilogue : op->spec.kind == NNC_LAYER_activation ? op->spec.code : NNC_NONE;
    if (!stable_pair(code, out->loss)) continue;
    if (!epilogue) {
      const int in = op->spec.input[0];
      if (plan->value[in].alias < plan->n_inputs || is_shared(plan, in, op, out->prediction)) continue;
      out->loss_input = op->spec.input[0];
    }
    op->loss_fused = out->logits_kernel = out->probabilities = 1;
  }
}
