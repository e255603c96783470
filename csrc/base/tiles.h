/* tiles.h: the tile registers of AMX: whether the CPU has them, the permission to use them, and their state in a thread.
 *
 * The kernel gives the permission to a process that asks for it, and then signal frames of all its threads grow by 8 KB. So it is
 * asked for when the first plan that multiplies in low precision is made, never before. It refuses if a thread has a small
 * alternative signal stack, or if it is old. Then the plan has the kernels for AVX-512, which give the same bits.
 *
 * Configuration and contents belong to a thread. Code outside the core may change them (they are caller-saved), and a context switch
 * saves 8 KB of them unless they are released. So a thread enters when it begins to work on a plan that uses tiles and leaves at the
 * end, as it does with the floating-point state (fpstate.h). Between them, all eight tiles have 16 rows of 64 bytes. A kernel that
 * needs another shape calls nnc_tiles_configure before it returns. For other plans, nothing is executed. */
#ifndef NNC_BASE_TILES_H
#define NNC_BASE_TILES_H

/* Whether the CPU has tiles with products of bfloat16 and of int8, and the operating system saves them. */
int nnc_tiles_exist(void);
/* Whether the process may use them. Asks if it has not been given the permission yet. Only where they exist. */
int nnc_tiles_permit(void);
/* The answer to the last request: 1 permission, -1 refusal, 0 nobody has asked. */
int nnc_tiles_answer(void);

void nnc_tiles_configure(void);
void nnc_tiles_release(void);

/* used: whether the plan uses tiles. */
static inline void nnc_tiles_enter(int used) {
  if (used) nnc_tiles_configure();
}
static inline void nnc_tiles_leave(int used) {
  if (used) nnc_tiles_release();
}

#endif
