/* shuffle.c: a permutation as a function of (seed, epoch): Fisher-Yates (Durstenfeld 1964) over Philox words, no state. */
#include "base/philox.h"
#include "plan/plan.h"

/* Top half of a 64 x 64 bit product: a number below n, its bias at most n / 2^64 (Lemire 2019, without the rejection). */
static uint64_t below(uint64_t word, uint64_t n) { return (uint64_t)(((unsigned __int128)word * n) >> 64); }

void nnc_shuffle(int64_t *order, size_t n, uint64_t seed, uint64_t epoch) {
  const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  uint32_t word[4] = {0};
  for (size_t i = 0; i < n; i++) order[i] = (int64_t)i;
  for (size_t i = n; i > 1; i--) {
    const size_t draw = n - i; /* two per block of four words */
    if (draw % 2 == 0) {
      const uint32_t counter[4] = {
          (uint32_t)(draw / 2), (uint32_t)((uint64_t)(draw / 2) >> 32), (uint32_t)epoch,
          UINT32_C(0x80000000) | (uint32_t)(epoch >> 32)}; /* the top bit keeps clear of the layers' streams */
      nnc_philox(word, counter, key);
    }
    const uint64_t random = (uint64_t)word[2 * (draw % 2)] << 32 | word[2 * (draw % 2) + 1];
    const size_t j = (size_t)below(random, i);
    const int64_t swapped = order[i - 1];
    order[i - 1] = order[j];
    order[j] = swapped;
  }
}
