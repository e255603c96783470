/* Stands before the C library (LD_PRELOAD): lets the k-th call of a function fail, cuts writes and reads short, and keeps the order. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char which[32], order[4096];
static long at, calls;
static int number;

void faults_set(const char *name, long k, int failure) {
  strncpy(which, name, sizeof which - 1);
  at = k;
  calls = 0;
  number = failure;
  order[0] = 0;
}

const char *faults_order(void) { return order; }

static int fails(const char *name) {
  if (strlen(order) + strlen(name) + 2 < sizeof order) strcat(strcat(order, name), " ");
  if (strcmp(name, which) || ++calls != at) return 0;
  errno = number;
  return 1;
}

#define REAL(type, name, ...)                   \
  static type (*real)(__VA_ARGS__);             \
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

int fsync(int fd) {
  REAL(int, fsync, int);
  struct stat status;
  fstat(fd, &status);
  return fails(S_ISDIR(status.st_mode) ? "fsync_folder" : "fsync") ? -1 : real(fd);
}

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  return fails("rename") ? -1 : real(from, to);
}

int fchmod(int fd, mode_t mode) {
  REAL(int, fchmod, int, mode_t);
  return fails("fchmod") ? -1 : real(fd, mode);
}

int close(int fd) {
  REAL(int, close, int);
  const int done = real(fd);
  return fails("close") ? -1 : done;
}

ssize_t write(int fd, const void *from, size_t n) {
  REAL(ssize_t, write, int, const void *, size_t);
  if (fails("write")) return -1;
  return real(fd, from, !strcmp(which, "short") && n > 7 ? n / 2 + 1 : n);
}

ssize_t read(int fd, void *to, size_t n) {
  REAL(ssize_t, read, int, void *, size_t);
  if (fails("read")) return -1;
  return real(fd, to, !strcmp(which, "short") && n > 3 ? n / 2 + 1 : n);
}
