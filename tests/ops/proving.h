/* proving.h: what the programs that prove kernels without Python have in common: the end at the first fault, random numbers, and memory
 * between pages that nobody may touch. */
#ifndef NNC_TESTS_PROVING_H
#define NNC_TESTS_PROVING_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 65536 };

static uint64_t seed = 1;

/* Of the program: print the case that is under test, and end with 1. */
static _Noreturn void fail(const char *what);

static void on_fault(int signal) {
  fail(signal == SIGILL ? "instruction unknown to this CPU" : "touched memory that is not its own");
}

static void catch_faults(void) {
  static char spare[64 * 1024]; /* for the handler, should the stack be what is exhausted */
  sigaltstack(&(stack_t){.ss_sp = spare, .ss_size = sizeof spare}, NULL);
  struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGILL, &action, NULL);
}

/* Run `prove` to its end on a thread with as little stack as a kernel may be given. */
static void on_small_stack(void *(*prove)(void *)) {
  enum { STACK = 256 * 1024 };
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  if (pthread_attr_setstacksize(&attributes, STACK) || pthread_create(&thread, &attributes, prove, NULL)) exit(2);
  pthread_join(thread, NULL);
}

static uint64_t draw(void) {
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return seed * UINT64_C(2685821657736338717);
}
static size_t below(size_t n) { return (size_t)((draw() >> 33) % n); }

typedef struct {
  char *first, *last;
} block;

static block guarded(size_t bytes) {
  bytes = (bytes + PAGE - 1) / PAGE * PAGE;
  char *memory = mmap(NULL, bytes + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory + PAGE, bytes, PROT_READ | PROT_WRITE)) {
    perror("mmap");
    exit(2);
  }
  return (block){memory + PAGE, memory + PAGE + bytes};
}

#endif
