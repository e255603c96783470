/* A step of an LSTM with 8 inputs and 32 units as plain loops. */
static float h[32], c[32];

static float gate(const float *x, int j)
{
    return product(x, 8, w0 + 8 * j, b2[j]) + product(h, 32, w1 + 32 * j, b3[j]);
}

void entry(const float *x, float *y);
void entry(const float *x, float *y)
{
    float next[32];
    for (int j = 0; j < 32; j++) {
        c[j] = sigmoid(gate(x, 32 + j)) * c[j] + sigmoid(gate(x, j)) * tanhf(gate(x, 64 + j));
        next[j] = sigmoid(gate(x, 96 + j)) * tanhf(c[j]);
    }
    for (int j = 0; j < 32; j++) {
        y[j] = h[j] = next[j];
    }
}
