/* words.c: random words for code that is not a kernel, such as the shuffling of rows, which would spend half of its time on them. */
#include "ops/op.h"
#include "ops/random/random.h"

void KERNEL(random_words)(uint32_t *word, uint64_t block, uint32_t row, const uint32_t key[2], const uint32_t stream[2]) {
  enum { DRAWN = SETS * WORDS };
  for (size_t i = 0; i < NNC_RANDOM_WORDS; i += DRAWN) draw_sets(word + i, block + i / 4, row, key, stream, SETS);
}
