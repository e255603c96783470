# registry.pxi: ops.def for Python: the names of ops, of their sizes and of their attributes, each kind in the order of op codes.

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
                "target": "index" if nnc_losses[i].is_index else "half" if nnc_losses[i].is_half else "dense",
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
        "low_kernel": [{"name": nnc_low_kernel_names[i].decode()} for i in range(NNC_LOW_KERNEL_COUNT)],
    }


OPS = describe_ops()
