/* What the recurrent nets as plain loops have in common. */
#include <math.h>

static float product(const float *x, int m, const float *w, float sum)
{
    for (int k = 0; k < m; k++) {
        sum += w[k] * x[k];
    }
    return sum;
}

static float sigmoid(float v)
{
    return 1 / (1 + expf(-v));
}

