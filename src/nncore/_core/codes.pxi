# codes.pxi: conversion of Python's names into numbers of the core: ops with their attributes, and element types. Each extension includes
# this file. It needs OPS.

cdef dict OP_CODES = {kind: {op["name"]: code for code, op in enumerate(ops)} for kind, ops in OPS.items()}

cdef dict COUNTS = {
    "right": NNC_COUNT_RIGHT, "each": NNC_COUNT_EACH, "pairs": NNC_COUNT_PAIRS, "top": NNC_COUNT_TOP, "whole": NNC_COUNT_WHOLE,
}

cdef dict SOURCE_TYPES = {
    ("f", 2): NNC_SOURCE_F16, ("f", 4): NNC_SOURCE_F32, ("f", 8): NNC_SOURCE_F64, ("b", 1): NNC_SOURCE_U8,
    ("u", 1): NNC_SOURCE_U8, ("u", 2): NNC_SOURCE_U16, ("u", 4): NNC_SOURCE_U32, ("u", 8): NNC_SOURCE_U64,
    ("i", 1): NNC_SOURCE_I8, ("i", 2): NNC_SOURCE_I16, ("i", 4): NNC_SOURCE_I32, ("i", 8): NNC_SOURCE_I64,
}


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
