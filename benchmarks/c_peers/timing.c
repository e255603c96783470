/* Calls the entry of each library in turn, and prints the shortest time of a call in nanoseconds, and its outputs after CHECKED calls. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 64, CALLS = 100, CHECKED = 5 };
typedef void entry(const float *x, float *y);

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* arguments: rounds, inputs, outputs, the libraries */
int main(int argc, char **argv)
{
    static float x[1024], y[1024];
    static double least[MOST];
    entry *f[MOST];
    const int rounds = atoi(argv[1]), inputs = atoi(argv[2]), outputs = atoi(argv[3]);
    for (int i = 0; i < inputs; i++) x[i] = (float)(i % 5) / 3 - 0.5f;
    for (int i = 4; i < argc; i++) {
        void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
        *(void **)&f[i] = dlsym(library, "entry");
        least[i] = 1e12;
        for (int n = 0; n < CHECKED; n++) f[i](x, y);
        for (int n = 0; n < outputs; n++) printf("%.9g ", (double)y[n]);
        printf("\n");
    }
    for (int r = 0; r < rounds; r++)
        for (int i = 4; i < argc; i++) {
            const double begin = now();
            for (int n = 0; n < CALLS; n++) f[i](x, y);
            const double time = (now() - begin) / CALLS;
            if (time < least[i]) least[i] = time;
        }
    for (int i = 4; i < argc; i++) printf("%.3f\n", least[i]);
    return 0;
}
