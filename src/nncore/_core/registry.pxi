# registry.pxi: ops.def as Python sees it: names, attributes, op codes, and the instruction sets to choose from.

cdef list names_in(const char *text):
    return text.decode().split(", ") if text[0] else []


cdef dict describe_ops():
    cdef int i
    layers, i = [], 0
    while nnc_layers[i].name != NULL:
        layers.append({
            "name": nnc_layers[i].name.decode(),
            "sizes": names_in(nnc_layers[i].sizes),
            "attributes": names_in(nnc_layers[i].attributes),
        })
        i += 1
    return {
        "activation": [
            {
                "name": nnc_activations[i].name.decode(),
                "saves": "input" if nnc_activations[i].saves_input else "output",
                "scope": "row" if nnc_activations[i].is_row else "element",
                "attributes": names_in(nnc_activations[i].attributes),
            }
            for i in range(NNC_ACTIVATION_COUNT)
        ],
        "loss": [
            {
                "name": nnc_losses[i].name.decode(),
                "target": "index" if nnc_losses[i].is_index else "dense",
                "attributes": names_in(nnc_losses[i].attributes),
            }
            for i in range(NNC_LOSS_COUNT)
        ],
        "optimizer": [
            {
                "name": nnc_optimizers[i].name.decode(),
                "moments": nnc_optimizers[i].moments,
                "attributes": names_in(nnc_optimizers[i].attributes),
            }
            for i in range(NNC_OPTIMIZER_COUNT)
        ],
        "layer": layers,
        "kernel": [{"name": nnc_kernel_names[i].decode()} for i in range(NNC_KERNEL_COUNT)],
    }


OPS = describe_ops()
cdef dict OP_CODES = {kind: {op["name"]: code for code, op in enumerate(ops)} for kind, ops in OPS.items()}


cdef int op_code(str kind, str name) except -1:
    code = OP_CODES[kind].get(name)
    if code is None:
        raise ValueError(f"name: no {kind} {name!r}; known are {', '.join(OP_CODES[kind])}")
    return code


cdef int fill_attributes(double *values, str kind, int code, object attr) except -1:
    names = OPS[kind][code]["attributes"]
    if len(attr) != len(names):
        raise ValueError(f"attr: {kind} {OPS[kind][code]['name']!r} takes ({', '.join(names)}), got {len(attr)} values")
    for i, value in enumerate(attr):
        values[i] = value
    return 0


cdef nnc_isa isa_code(object isa) except *:
    if isa is None:
        return ISA_IN_USE
    if isa not in ISAS:
        raise ValueError(f"isa: expected one of {', '.join(ISAS)}, got {isa!r}")
    return <nnc_isa><int>ISA_NAMES.index(isa)
