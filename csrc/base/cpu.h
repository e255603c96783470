/* cpu.h: which instruction sets this CPU and its operating system support. */
#ifndef NNC_BASE_CPU_H
#define NNC_BASE_CPU_H

#include "base/types.h"

int nnc_cpu_has(nnc_isa isa);
nnc_isa nnc_cpu_best(void);
/* Whether bytes are multiplied and summed in one instruction, of 512 bits (wide) or of 256. */
int nnc_cpu_has_vnni(int wide);

#endif
