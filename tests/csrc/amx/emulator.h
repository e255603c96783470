/* emulator.h: what the emulator tells programs that run under it. A program that is not linked with it finds these names with dlsym
 * (ctypes.CDLL(None) in Python). */
#ifndef AMX_EMULATOR_H
#define AMX_EMULATOR_H

/* What base/tiles.c looks for. 1: tiles are emulated. 0: the CPU has tiles of its own, and the emulator does nothing. */
int nncore_amx_emulator(void);

/* Number of instructions emulated so far, in all threads: of the given name ("TILELOADD"), or of all if it is NULL. */
unsigned long amx_emulator_count(const char *name);

/* Whether this thread's tiles are configured, and in how many threads they are. */
int amx_emulator_is_configured(void);
int amx_emulator_threads_configured(void);

/* From now on the request for permission fails with this error (EINVAL: a kernel that does not know it); 0: it succeeds. */
void amx_emulator_refuse(int error);

#endif
