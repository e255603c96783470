/* nncore.h: the only header that the Python boundary sees. */
#ifndef NNCORE_H
#define NNCORE_H

#include "base/types.h"
#include "base/cpu.h"
#include "ops/kernels.h"

#endif
