# lengths.pxi: plans for other numbers of time steps, which a network keeps beside the plan in use. Making a plan takes longer than a step of
# a small network; exchanging two takes about a microsecond. Parameters, gradients, moments and running statistics belong to the network,
# not to its plans. A network with layers in Python keeps no plans, because these layers learn the shapes of their inputs when a plan is made.

cdef int MOST_PLANS = 64  # plans of a network that are not in use
cdef size_t MOST_PLAN_BYTES = 64 << 20  # their memory: what they kept for training and prediction


@cython.final
cdef class KeptPlan:
    """A plan that is not in use, with the attributes of `BasePlan` that belong to it."""

    cdef nnc_plan *plan
    cdef list input_shapes, output_shapes, all_shapes, output_lines, target_widths
    cdef object built_for
    cdef double flops
    cdef cnp.npy_intp[9] in_dims, out_dims
    cdef size_t in_width, bytes
    cdef uint64_t last_use

    def __dealloc__(self):
        nnc_plan_free(self.plan)


cdef int exchange(BasePlan net, KeptPlan other) noexcept:
    """Use the other plan, and keep the one in use. No Python code runs meanwhile."""
    cdef cnp.npy_intp[9] dims
    net.plan, other.plan = other.plan, net.plan
    net.input_shapes, other.input_shapes = other.input_shapes, net.input_shapes
    net.output_shapes, other.output_shapes = other.output_shapes, net.output_shapes
    net._all_shapes, other.all_shapes = other.all_shapes, net._all_shapes
    net.output_lines, other.output_lines = other.output_lines, net.output_lines
    net.target_widths, other.target_widths = other.target_widths, net.target_widths
    net.built_for, other.built_for = other.built_for, net.built_for
    net.flops, other.flops = other.flops, net.flops
    net.in_width, other.in_width = other.in_width, net.in_width
    memcpy(dims, net.in_dims, sizeof(dims))
    memcpy(net.in_dims, other.in_dims, sizeof(dims))
    memcpy(other.in_dims, dims, sizeof(dims))
    memcpy(dims, net.out_dims, sizeof(dims))
    memcpy(net.out_dims, other.out_dims, sizeof(dims))
    memcpy(other.out_dims, dims, sizeof(dims))
    return 0


cdef KeptPlan put_away(BasePlan net, bint compiled):
    """Return the plan in use as one to keep, before another replaces it; None if it cannot be kept. compiled: whether the other one is."""
    if net.called_ops or net.built_for is None or net.is_provisional or net.is_compiled != compiled:
        return None
    cdef KeptPlan kept = KeptPlan()
    kept.input_shapes, kept.output_shapes, kept.all_shapes = net.input_shapes, net.output_shapes, net._all_shapes
    kept.output_lines, kept.target_widths, kept.built_for = net.output_lines, net.target_widths, net.built_for
    kept.flops, kept.in_width = net.flops, net.in_width
    memcpy(kept.in_dims, net.in_dims, sizeof(kept.in_dims))
    memcpy(kept.out_dims, net.out_dims, sizeof(kept.out_dims))
    net.kept_plans[tuple(net.built_for)] = kept
    return kept


cdef int count_kept(BasePlan net, KeptPlan kept) except -1:
    """Note the memory of a plan that has just been put away, and drop those that were not used for longest if there are too many."""
    cdef KeptPlan each, oldest
    net.kept_uses += 1
    kept.last_use, kept.bytes = net.kept_uses, nnc_plan_bytes(kept.plan)
    net.kept_bytes += kept.bytes
    while net.kept_bytes > MOST_PLAN_BYTES or len(net.kept_plans) > MOST_PLANS:
        oldest = None
        for each in net.kept_plans.values():
            if oldest is None or each.last_use < oldest.last_use:
                oldest = each
        net.kept_bytes -= oldest.bytes
        del net.kept_plans[tuple(oldest.built_for)]
    return 0


cdef bint use_kept(BasePlan net, tuple shapes) except -1:
    """Use the plan that was kept for inputs of these shapes. Return False if there is none; nothing has changed then, or after an error."""
    cdef KeptPlan kept = net.kept_plans.get(shapes)
    cdef nnc_error error
    cdef int i
    if kept is None:
        return False
    for i in range(len(net.output_shapes)):
        if last_of(net.output_shapes[i]) != last_of(kept.output_shapes[i]):  # the trainer's statistics are as wide
            return False
    if nnc_plan_is_stateful(net.plan) and nnc_plan_inherit(kept.plan, net.plan, &error):
        raise_error(&error)
    net.kept_plans[tuple(net.built_for)] = kept
    net.kept_bytes -= kept.bytes
    exchange(net, kept)
    net._bind()
    del net.kept_plans[shapes]
    return count_kept(net, kept) == 0


cdef int infer_in_kept(BasePlan net, bytes flags) except -1:
    """Let ops of the plans that are not in use compute as at inference: one flag per op."""
    cdef KeptPlan each
    for each in net.kept_plans.values():
        nnc_plan_set_inference(each.plan, <const unsigned char *><const char *>flags)
    return 0


cdef int drop_kept(BasePlan net, tuple shapes) except -1:
    """Drop the plan that was kept for inputs of these shapes, if there is one."""
    cdef KeptPlan kept = net.kept_plans.pop(shapes, None)
    if kept is not None:
        net.kept_bytes -= kept.bytes
    return 0


cdef int forget_kept(BasePlan net) except -1:
    """Drop the plans that are not in use, because they have other losses, parameters or memory than the one in use."""
    net.kept_plans, net.kept_bytes = {}, 0
    return 0
