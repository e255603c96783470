/* A step of a GRU with 8 inputs and 32 units as plain loops. */
static float h[32];

void entry(const float *x, float *y);
void entry(const float *x, float *y)
{
    float next[32];
    for (int j = 0; j < 32; j++) {
        const float r = sigmoid(product(x, 8, w0 + 8 * j, b2[j]) + product(h, 32, w1 + 32 * j, b3[j]));
        const float z = sigmoid(product(x, 8, w0 + 8 * (32 + j), b2[32 + j]) + product(h, 32, w1 + 32 * (32 + j), b3[32 + j]));
        const float n =
            tanhf(product(x, 8, w0 + 8 * (64 + j), b2[64 + j]) + r * product(h, 32, w1 + 32 * (64 + j), b3[64 + j]));
        next[j] = (1 - z) * n + z * h[j];
    }
    for (int j = 0; j < 32; j++) {
        y[j] = h[j] = next[j];
    }
}
