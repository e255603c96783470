/* An MLP 64-32-16-4 with ReLU as plain loops. */
static void layer(const float *x, int m, const float *w, const float *b, int n, float *y)
{
    for (int j = 0; j < n; j++) {
        float sum = b[j];
        for (int k = 0; k < m; k++) {
            sum += w[m * j + k] * x[k];
        }
        y[j] = sum;
    }
}

static void relu(float *y, int n)
{
    for (int j = 0; j < n; j++) {
        y[j] = y[j] > 0 ? y[j] : 0;
    }
}

void entry(const float *x, float *y);
void entry(const float *x, float *y)
{
    static float first[32], second[16];
    layer(x, 64, w0, b0, 32, first);
    relu(first, 32);
    layer(first, 32, w1, b1, 16, second);
    relu(second, 16);
    layer(second, 16, w2, b2, 4, y);
}
