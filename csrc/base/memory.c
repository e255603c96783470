/* memory.c: see memory.h. An operating system that overcommits grants memory that it does not have, and later kills the process
 * that uses it. So a request that cannot fit is rejected before it is made. */
#define _GNU_SOURCE
#include "base/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void lower(size_t *limit, unsigned long long to) {
  if (to < *limit) *limit = (size_t)to;
}

/* Reads a file that contains a number or "max". */
static void lower_to_file(size_t *limit, const char *path) {
  unsigned long long bytes;
  FILE *f = fopen(path, "r");
  if (!f) return;
  if (fscanf(f, "%llu", &bytes) == 1) lower(limit, bytes);
  fclose(f);
}

/* The limits of the cgroup of this process and of all cgroups above it: version 2 in a single hierarchy, version 1 in one for
 * memory. In a container, the path may be outside of it; then the root is read. */
static void lower_to_cgroups(size_t *limit) {
  char line[1024], path[1200];
  FILE *f = fopen("/proc/self/cgroup", "r");
  lower_to_file(limit, "/sys/fs/cgroup/memory.max");
  lower_to_file(limit, "/sys/fs/cgroup/memory/memory.limit_in_bytes");
  if (!f) return;
  while (fgets(line, sizeof line, f)) {
    const int is_v2 = !strncmp(line, "0::/", 4);
    char *at = is_v2 ? line + 3 : strstr(line, ":memory:/");
    if (!at) continue;
    if (!is_v2) at += strlen(":memory:");
    at[strcspn(at, "\n")] = 0;
    for (char *end; at[0] && at[1]; *end = 0) {
      snprintf(path, sizeof path, is_v2 ? "/sys/fs/cgroup%s/memory.max" : "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", at);
      lower_to_file(limit, path);
      end = strrchr(at, '/');
    }
  }
  fclose(f);
}

/* A field of /proc/meminfo in kilobytes; 0 if it is missing. */
static unsigned long long swap_space(void) {
  char line[256];
  unsigned long long kilobytes = 0;
  FILE *f = fopen("/proc/meminfo", "r");
  if (!f) return 0;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "SwapTotal: %llu", &kilobytes) == 1) break;
  fclose(f);
  return kilobytes;
}

size_t nnc_memory_limit(void) {
  size_t limit = PTRDIFF_MAX;
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  struct rlimit own;
  if (pages > 0 && page > 0) lower(&limit, (unsigned long long)pages * (unsigned long long)page + 1024 * swap_space());
  if (!getrlimit(RLIMIT_AS, &own) && own.rlim_cur != RLIM_INFINITY) lower(&limit, own.rlim_cur);
  if (!getrlimit(RLIMIT_DATA, &own) && own.rlim_cur != RLIM_INFINITY) lower(&limit, own.rlim_cur);
  lower_to_cgroups(&limit);
  return limit;
}
