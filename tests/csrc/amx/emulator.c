/* emulator.c: AMX on a CPU without it, for tests. Preloaded, or linked into a test program:
 *
 *     cc -std=gnu11 -O2 -shared -fPIC tests/csrc/amx/emulator.c -o emulator.so -ldl -lm
 *     LD_PRELOAD=./emulator.so NNCORE_ISA=amx python …
 *
 * Each tile instruction is invalid on such a CPU and raises SIGILL. The handler here decodes and computes it by Intel's manual, with
 * registers of each thread's own. What the manual calls an invalid use (#UD, #GP) ends the process with a message. A signal takes
 * some two microseconds, or eight in a virtual machine.
 *
 * It is strict where the hardware is: tile data need the kernel's permission (arch_prctl), which is refused while a thread has a small
 * alternative signal stack; a thread's registers start unconfigured; in a forked child they are zero. To stay in the process it stands
 * before the C library's functions for signals. Handlers of others for SIGILL get the instructions that are none of tiles. On a CPU
 * that has AMX it does nothing. */
#define _GNU_SOURCE
#include "emulator.h"

#include <cpuid.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "instruction.h"
#include "products.h"

enum { GET_PERMISSION = 0x1022, REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, BASE_PERMISSION = 7 };
enum { FRAME = 11968 }; /* bytes of a signal frame with tiles: the least alternative stack */

typedef struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t colsb[16];
  uint8_t rows[16];
} configuration;
_Static_assert(sizeof(configuration) == 64, "as LDTILECFG reads it");

static __thread configuration config __attribute__((tls_model("initial-exec")));
static __thread amx_tile tile[8] __attribute__((tls_model("initial-exec")));
static __thread int small_stack __attribute__((tls_model("initial-exec")));

static atomic_ulong counts[AMX_KINDS];
static atomic_int threads_configured, small_stacks, refusal, permitted;
static int is_active, is_fast;
static struct sigaction next_handler; /* of the program, for what is no tile instruction */
static pthread_key_t at_thread_end;

/* ---- Errors --------------------------------------------------------------------------------------------------------------- */

static void say(const char *name, const char *what) {
  char line[200];
  const int n = snprintf(line, sizeof line, "AMX emulator: %s: %s\n", name, what);
  if (write(2, line, (size_t)n) < 0) return;
}
static void fail(const char *name, const char *what) {
  say(name, what);
  abort();
}

/* ---- The instructions ------------------------------------------------------------------------------------------------------ */

static void set_configuration(const configuration *to) {
  threads_configured += (to->palette != 0) - (config.palette != 0);
  config = *to;
  memset(tile, 0, sizeof tile);
}

static void load_configuration(const void *from) {
  configuration c;
  memcpy(&c, from, sizeof c);
  const char *name = amx_name[AMX_LDTILECFG];
  if (c.palette > 1) fail(name, "an unknown palette (#GP)");
  if (!c.palette) memset(&c, 0, sizeof c);
  for (int i = 0; i < 14; i++)
    if (c.reserved[i]) fail(name, "reserved bytes are not zero (#GP)");
  for (int i = 0; i < 16; i++) {
    if (i >= 8 && (c.rows[i] || c.colsb[i])) fail(name, "a configuration for a tile that does not exist (#GP)");
    if (c.rows[i] > 16 || c.colsb[i] > 64) fail(name, "more than 16 rows of 64 bytes (#GP)");
    if (!c.rows[i] != !c.colsb[i]) fail(name, "rows without columns, or columns without rows (#GP)");
  }
  set_configuration(&c);
}

static void need_configured(const amx_instruction *in, int t) {
  if (!config.palette) fail(amx_name[in->kind], "tiles are not configured (#UD)");
  if (!config.rows[t]) fail(amx_name[in->kind], "the tile is not configured (#UD)");
}

/* Rows and bytes beyond those of the configuration become zero. */
static void load_tile(int t, const uint8_t *from, ptrdiff_t stride) {
  amx_tile loaded = {0};
  for (int m = 0; m < config.rows[t]; m++) memcpy(loaded.row[m], from + m * stride, config.colsb[t]);
  tile[t] = loaded;
}
static void store_tile(int t, uint8_t *to, ptrdiff_t stride) {
  for (int m = 0; m < config.rows[t]; m++) memcpy(to + m * stride, tile[t].row[m], config.colsb[t]);
}

static void check_product(const amx_instruction *in) {
  const char *name = amx_name[in->kind];
  const int c = in->tile, a = in->left, b = in->right;
  if (c == a || c == b || a == b) fail(name, "two operands are the same tile (#UD)");
  need_configured(in, c);
  need_configured(in, a);
  need_configured(in, b);
  if (config.colsb[c] % 4 || config.colsb[a] % 4 || config.colsb[b] % 4)
    fail(name, "columns that are no multiple of 4 bytes (#UD)");
  if (config.rows[c] != config.rows[a]) fail(name, "the result has not the rows of the left operand (#UD)");
  if (config.colsb[c] != config.colsb[b]) fail(name, "the result has not the columns of the right operand (#UD)");
  if (config.colsb[a] / 4 != config.rows[b]) fail(name, "the left operand's columns are not the right one's rows (#UD)");
}

static void multiply(const amx_instruction *in) {
  check_product(in);
  amx_tile *c = &tile[in->tile];
  const amx_tile *a = &tile[in->left], *b = &tile[in->right];
  const int rows = config.rows[in->tile], columns = config.colsb[in->tile] / 4, depth = config.rows[in->right];
  const int a_signed = in->kind == AMX_TDPBSSD || in->kind == AMX_TDPBSUD;
  const int b_signed = in->kind == AMX_TDPBSSD || in->kind == AMX_TDPBUSD;
  for (int m = 0; m < rows; m++) {
    if (in->kind == AMX_TDPBF16PS) {
      amx_bf16_elements(c->row[m], a->row[m], b->row[0], depth, columns, is_fast);
      continue;
    }
    for (int n = 0; n < columns; n++) amx_bytes_element(c->row[m] + 4 * n, a->row[m], b->row[0] + 4 * n, depth, a_signed, b_signed);
  }
}

static void execute(const amx_instruction *in, uint8_t *at, ptrdiff_t stride) {
  static const configuration released;
  switch (in->kind) {
    case AMX_LDTILECFG: load_configuration(at); break;
    case AMX_STTILECFG: memcpy(at, &config, sizeof config); break;
    case AMX_TILERELEASE: set_configuration(&released); break;
    case AMX_TILEZERO: memset(&tile[in->tile], 0, sizeof tile[0]); break;
    case AMX_TILELOADD:
    case AMX_TILELOADDT1: load_tile(in->tile, at, stride); break;
    case AMX_TILESTORED: store_tile(in->tile, at, stride); break;
    default: multiply(in);
  }
}

/* ---- The handler ----------------------------------------------------------------------------------------------------------- */

static int64_t value_of(const ucontext_t *context, int number) {
  static const int place[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return number == AMX_NO_REGISTER ? 0 : context->uc_mcontext.gregs[place[number]];
}

static uint8_t *address_of(const amx_instruction *in, const ucontext_t *context) {
  uint64_t at = (uint64_t)(int64_t)in->displacement;
  at += in->base == AMX_RIP ? (uint64_t)(context->uc_mcontext.gregs[REG_RIP] + in->length) : (uint64_t)value_of(context, in->base);
  if (in->kind <= AMX_STTILECFG) at += (uint64_t)value_of(context, in->index) << in->scale;
  if (in->is_32_bits) at &= 0xFFFFFFFF;
  if (in->from_fs) {
    uint64_t fs;
    __asm__("mov %%fs:0, %0" : "=r"(fs));
    at += fs;
  }
  return (uint8_t *)at;
}

static const uint8_t *code_at(const ucontext_t *context) { return (const uint8_t *)context->uc_mcontext.gregs[REG_RIP]; }

static void pass_on(int number, siginfo_t *info, void *context) {
  if (next_handler.sa_flags & SA_SIGINFO) next_handler.sa_sigaction(number, info, context);
  else if (next_handler.sa_handler != SIG_DFL && next_handler.sa_handler != SIG_IGN) next_handler.sa_handler(number);
  else {
    syscall(SYS_rt_sigaction, SIGILL, &(uint64_t[4]){0}, NULL, 8); /* SIG_DFL: the instruction now ends the process, */
    if (info->si_code <= 0) raise(SIGILL);                         /* or the signal that somebody sent */
  }
}

static void emulate(const amx_instruction *in, ucontext_t *context) {
  execute(in, address_of(in, context), value_of(context, in->index) * (1 << in->scale));
  counts[in->kind]++;
  context->uc_mcontext.gregs[REG_RIP] += in->length;
}

/* Those that follow at once are done as well, as the signal takes longer than all else. */
static void on_invalid_instruction(int number, siginfo_t *info, void *given) {
  ucontext_t *context = given;
  amx_instruction in;
  if (info->si_code <= 0 || !amx_decode(&in, code_at(context))) {
    pass_on(number, info, given);
    return;
  }
  do {
    if (in.kind >= AMX_TILEZERO) {
      if (!permitted) {
        say(amx_name[in.kind], "the process has no permission to use tiles");
        pass_on(number, info, given);
        return;
      }
      need_configured(&in, in.tile);
    }
    emulate(&in, context);
  } while (amx_decode(&in, code_at(context)));
}

/* ---- Before the C library --------------------------------------------------------------------------------------------------- */

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int sigaction(int number, const struct sigaction *action, struct sigaction *old) {
  if (number != SIGILL || !is_active) return NEXT(sigaction)(number, action, old);
  const struct sigaction before = next_handler;
  if (action) next_handler = *action;
  if (old) *old = before;
  return 0;
}

sighandler_t signal(int number, sighandler_t handler) {
  if (number != SIGILL || !is_active) return NEXT(signal)(number, handler);
  struct sigaction old;
  sigaction(number, &(struct sigaction){.sa_handler = handler}, &old);
  return old.sa_handler;
}

/* A blocked SIGILL of an instruction would end the process. */
static const sigset_t *without_sigill(const sigset_t *set, sigset_t *copy) {
  if (!set || !is_active) return set;
  *copy = *set;
  sigdelset(copy, SIGILL);
  return copy;
}
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
  sigset_t copy;
  return NEXT(pthread_sigmask)(how, how == SIG_UNBLOCK ? set : without_sigill(set, &copy), old);
}
int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
  sigset_t copy;
  return NEXT(sigprocmask)(how, how == SIG_UNBLOCK ? set : without_sigill(set, &copy), old);
}

static void note_stack(int is_small) {
  small_stacks += is_small - small_stack;
  small_stack = is_small;
  pthread_setspecific(at_thread_end, &small_stack);
}
int sigaltstack(const stack_t *stack, stack_t *old) {
  const int is_small = stack && !(stack->ss_flags & SS_DISABLE) && stack->ss_size < FRAME;
  if (is_active && is_small && permitted) {
    errno = ENOMEM;
    return -1;
  }
  const int failed = NEXT(sigaltstack)(stack, old);
  if (is_active && stack && !failed) note_stack(is_small);
  return failed;
}

/* The permission, and everything else as it is. The answer is that of the kernel: 0 or an error with a minus sign. */
static long permission(long request, long argument) {
  if (request == GET_PERMISSION) {
    *(uint64_t *)argument = BASE_PERMISSION | (uint64_t)permitted << TILE_DATA;
    return 0;
  }
  if (argument != TILE_DATA) return -EINVAL;
  if (refusal) return -refusal;
  if (!permitted && small_stacks) return -ENOSPC;
  permitted = 1;
  return 0;
}
long syscall(long number, ...) {
  va_list list;
  long a[6], result;
  va_start(list, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (is_active && number == SYS_arch_prctl && (a[0] == GET_PERMISSION || a[0] == REQUEST_PERMISSION)) {
    result = permission(a[0], a[1]);
  } else {
    register long r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
  }
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}

/* ---- The life of threads and processes ------------------------------------------------------------------------------------- */

static void thread_ends(void *value) {
  small_stacks -= *(int *)value;
  *(int *)value = 0;
}

/* The child has this thread only. It keeps its configuration, and its tiles are zero. */
static void after_fork_in_child(void) {
  memset(tile, 0, sizeof tile);
  small_stacks = small_stack;
  threads_configured = config.palette != 0;
}

static int cpu_has_tiles(void) {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d & 1u << 24;
}

__attribute__((constructor)) static void start(void) {
  if (cpu_has_tiles()) return;
  const char *error = getenv("AMX_EMULATOR_REFUSE");
  if (error) amx_emulator_refuse(atoi(error));
  is_fast = __builtin_cpu_supports("avx512f");
  struct sigaction action = {.sa_sigaction = on_invalid_instruction, .sa_flags = SA_SIGINFO | SA_RESTART};
  if (pthread_key_create(&at_thread_end, thread_ends) || pthread_atfork(NULL, NULL, after_fork_in_child) ||
      NEXT(sigaction)(SIGILL, &action, &next_handler)) {
    say("start", "no handler for SIGILL");
    return;
  }
  is_active = 1;
}

/* ---- What it tells ----------------------------------------------------------------------------------------------------------- */

int nncore_amx_emulator(void) { return is_active; }

unsigned long amx_emulator_count(const char *name) {
  unsigned long sum = 0;
  for (int kind = 0; kind < AMX_KINDS; kind++)
    if (!name || !strcmp(name, amx_name[kind])) sum += counts[kind];
  return sum;
}
int amx_emulator_is_configured(void) { return config.palette != 0; }
int amx_emulator_threads_configured(void) { return threads_configured; }
void amx_emulator_refuse(int error) { refusal = error; }
