/* types.h: the types that all layers of the core share: status codes, dtypes, the precision of products, instruction sets. */
#ifndef NNC_BASE_TYPES_H
#define NNC_BASE_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
  NNC_OK,
  NNC_ERROR_MEMORY, /* an allocation failed */
  NNC_ERROR_SIZE,   /* a size overflows, or is too large to make sense */
  NNC_ERROR_SHAPE,  /* shapes do not fit */
  NNC_ERROR_VALUE,  /* an attribute is out of its range */
} nnc_status;

typedef enum { NNC_F32, NNC_F64 } nnc_dtype;

/* How the products of a float32 plan are computed: in float32, or from operands that are rounded to bfloat16 or to 8-bit integers. */
typedef enum { NNC_COMPUTE_FULL, NNC_COMPUTE_BF16, NNC_COMPUTE_INT8 } nnc_compute;

/* In increasing order of preference. BASELINE is SSE2 on x86-64, NEON on aarch64, plain C elsewhere. AMX is AVX512 with tiles of
 * bfloat16 and of int8; it differs from AVX512 in the kernels of low precision alone. */
typedef enum { NNC_ISA_BASELINE, NNC_ISA_AVX2, NNC_ISA_AVX512, NNC_ISA_AMX, NNC_ISA_COUNT } nnc_isa;

#endif
