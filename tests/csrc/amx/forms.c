/* forms.c: tile instructions in the forms that a compiler may produce, as functions for test_emulator.py. Tiles are used as the
 * configuration that was loaded last has them. */
#include <stddef.h>

void configure(const void *from) { __asm__ volatile("ldtilecfg (%0)" : : "r"(from) : "memory"); }
void release(void) { __asm__ volatile("tilerelease" : : : "memory"); }
void read_configuration(void *to) { __asm__ volatile("sttilecfg (%0)" : : "r"(to) : "memory"); }

/* Configuration and its copy, each at 64 bytes times the number of the form in `from` and `to`. */
static __thread struct {
  char bytes[64];
} here;
static char there[64];
/* Where `here` is relative to the thread pointer. */
static char *offset_of_here(void) {
  char *thread;
  __asm__("mov %%fs:0, %0" : "=r"(thread));
  return (char *)(here.bytes - thread);
}
void configuration_forms(const char *from, char *to) {
#define COPY(form, load, store)                                                                         \
  __asm__ volatile(                                                                                     \
      "mov %0, %%rax\n\tmov %1, %%rdx\n\t"                                                              \
      "mov $" #form                                                                                     \
      ", %%rcx\n\t"                                                                                     \
      "mov %%rax, %%r13\n\tmov %%rdx, %%r12\n\tmov %%rcx, %%r9\n\t" load "\n\t" store "\n\ttilerelease" \
      :                                                                                                 \
      : "r"(from), "r"(to)                                                                              \
      : "rax", "rdx", "rcx", "r9", "r12", "r13", "memory")
  COPY(0, "ldtilecfg (%%rax)", "sttilecfg (%%rdx)");
  COPY(1, "ldtilecfg 64(%%r13)", "sttilecfg 64(%%r12)");
  COPY(32, "ldtilecfg 64(%%rax,%%rcx,2)", "sttilecfg 0x40(%%rdx,%%r9,2)");
  COPY(24, "ldtilecfg (%%r13,%%r9,8)", "sttilecfg (%%r12,%%rcx,8)");
  COPY(4, "ldtilecfg 0x100(%%r13)", "sttilecfg 0x100(%%rdx)");
  COPY(5, "lea 0x140(%%rax), %%rcx\n\tldtilecfg (,%%rcx,1)", "lea 0x140(%%rdx), %%r9\n\tsttilecfg (,%%r9,1)");
  COPY(6, "lea 0x400(%%rax), %%rax\n\tldtilecfg -0x280(%%rax)", "lea 0x190(%%rdx), %%rdx\n\tsttilecfg -0x10(%%rdx)");
  COPY(7, "lea 0x1c0(%%rax), %%r12\n\tldtilecfg (%%r12)", "lea 0x1c0(%%rdx), %%r13\n\tsttilecfg (%%r13)");
#undef COPY
  char local[64], result[64];
  __builtin_memcpy(local, from + 8 * 64, 64); /* relative to %rsp */
  __asm__ volatile("ldtilecfg %1\n\tsttilecfg %0\n\ttilerelease" : "=m"(result) : "m"(local) : "memory");
  __builtin_memcpy(to + 8 * 64, result, 64);
  __builtin_memcpy(there, from + 9 * 64, 64); /* relative to %rip and %fs */
  __asm__ volatile("ldtilecfg %1\n\tsttilecfg %%fs:%0\n\ttilerelease"
                   : "=m"(*(char (*)[64])offset_of_here())
                   : "m"(there)
                   : "memory");
  __builtin_memcpy(to + 9 * 64, here.bytes, 64);
}

/* A tile from `from` to `to`, whose rows are `stride` bytes apart: one form after the other. stride is a multiple of 8. */
enum { LOAD_FORMS = 8 };
int load_forms(const char *from, char *to, ptrdiff_t stride, size_t size) {
#define MOVE(setting, load, store)                                                                  \
  __asm__ volatile(                                                                                 \
      "mov %0, %%rax\n\tmov %1, %%rdx\n\tmov %2, %%rcx\n\tmov %%rax, %%r13\n\tmov %%rdx, %%r12\n\t" \
      "mov %%rcx, %%r9\n\tmov %%rcx, %%r14\n\t" setting "\n\t" load "\n\t" store                    \
      :                                                                                             \
      : "r"(from), "r"(to), "r"(stride)                                                             \
      : "rax", "rdx", "rcx", "r9", "r12", "r13", "r14", "memory");                                  \
  to += size
  MOVE("", "tileloadd (%%rax,%%rcx,1), %%tmm0", "tilestored %%tmm0, (%%rdx,%%rcx,1)");
  MOVE("", "tileloadd (%%r13,%%r9,1), %%tmm1", "tilestored %%tmm1, (%%r12,%%r14,1)");
  MOVE("sar $1, %%rcx\n\tsar $2, %%r9", "tileloaddt1 (%%rax,%%rcx,2), %%tmm2", "tilestored %%tmm2, (%%rdx,%%r9,4)");
  MOVE("sar $3, %%r14", "tileloadd (%%rax,%%r14,8), %%tmm3", "tilestored %%tmm3, (%%rdx,%%r14,8)");
  MOVE("sub $0x40, %%rax\n\tadd $0x80, %%rdx", "tileloadd 0x40(%%rax,%%rcx,1), %%tmm4", "tilestored %%tmm4, -0x80(%%rdx,%%rcx,1)");
  MOVE("sub $0x1000, %%r13\n\tadd $0x2000, %%r12", "tileloaddt1 0x1000(%%r13,%%rcx,1), %%tmm5",
       "tilestored %%tmm5, -0x2000(%%r12,%%rcx,1)");
  MOVE("", "tilezero %%tmm6\n\ttileloadd (%%rax), %%tmm6", "tilestored %%tmm6, (%%rdx,%%rcx,1)"); /* no index: one row, repeated */
  MOVE("", "tileloadd (%%rax,%%rcx,1), %%tmm7\n\ttilezero %%tmm7", "tilestored %%tmm7, (%%rdx,%%rcx,1)");
#undef MOVE
  return LOAD_FORMS;
}

/* c += a b in tiles 0 to 7 in several places. Rows lie 64 bytes apart. */
#define PRODUCT(name, operation)                                \
  void name(void *c, const void *a, const void *b, int place) { \
    switch (place) {                                            \
      case 0: IN_PLACE(operation, 0, 1, 2); break;              \
      case 1: IN_PLACE(operation, 7, 3, 5); break;              \
      case 2: IN_PLACE(operation, 3, 7, 6); break;              \
      case 3: IN_PLACE(operation, 6, 4, 7); break;              \
      default: IN_PLACE(operation, 5, 0, 4);                    \
    }                                                           \
  }
#define IN_PLACE(operation, C, A, B)                                                                                       \
  __asm__ volatile("tileloadd (%0,%3,1), %%tmm" #C "\n\ttileloadd (%1,%3,1), %%tmm" #A "\n\ttileloadd (%2,%3,1), %%tmm" #B \
                   "\n\t" operation " %%tmm" #B ", %%tmm" #A ", %%tmm" #C "\n\ttilestored %%tmm" #C ", (%0,%3,1)"          \
                   :                                                                                                       \
                   : "r"(c), "r"(a), "r"(b), "r"((ptrdiff_t)64)                                                            \
                   : "memory")
PRODUCT(tdpbf16ps, "tdpbf16ps")
PRODUCT(tdpbssd, "tdpbssd")
PRODUCT(tdpbsud, "tdpbsud")
PRODUCT(tdpbusd, "tdpbusd")
PRODUCT(tdpbuud, "tdpbuud")

/* What the configuration does not allow. */
void same_tile_twice(void) { __asm__ volatile(".byte 0xC4, 0xE2, 0x73, 0x5E, 0xC1"); /* tdpbssd %tmm1, %tmm1, %tmm0 */ }
void zero_tile_0(void) { __asm__ volatile("tilezero %%tmm0" : :); }
void invalid_instruction(void) { __asm__ volatile("ud2"); }
