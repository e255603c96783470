/* shuffle.c: a permutation as a function of (seed, epoch): Fisher-Yates (Durstenfeld 1964) over Philox words, no state. */
#include "ops/kernels.h"
#include "plan/plan.h"

/* The words of one epoch, in order: those of the blocks with the counters (block, block >> 32, epoch). */
typedef struct {
  nnc_random_words_f32 *draw;
  uint32_t key[2], epoch[2], word[NNC_RANDOM_WORDS];
  uint64_t block;
  size_t taken;
} word_stream;

static void refill(word_stream *s) {
  s->draw(s->word, s->block, (uint32_t)(s->block >> 32), s->key, s->epoch);
  s->block += NNC_RANDOM_WORDS / 4;
  s->taken = 0;
}

static inline uint32_t next_word(word_stream *s) {
  if (s->taken == NNC_RANDOM_WORDS) refill(s);
  return s->word[s->taken++];
}

/* A number below n, with equal probabilities: the upper half of a product. It is drawn again if the lower half is in the remainder
 * of 2^32 (Lemire 2019). */
static uint32_t below(word_stream *s, uint32_t n) {
  uint64_t product = (uint64_t)next_word(s) * n;
  if ((uint32_t)product < n)
    for (const uint32_t left_over = -n % n; (uint32_t)product < left_over;) product = (uint64_t)next_word(s) * n;
  return (uint32_t)(product >> 32);
}

/* More than 2^32 rows: 64 bits, whose bias of n / 2^64 is negligible. */
static uint64_t far_below(word_stream *s, uint64_t n) {
  const uint64_t high = next_word(s), word = high << 32 | next_word(s);
  return (uint64_t)(((unsigned __int128)word * n) >> 64);
}

void nnc_shuffle(int64_t *order, size_t n, uint64_t seed, uint64_t epoch, nnc_isa isa) {
  word_stream s = {.draw = nnc_kernels_for_f32(isa)->random_words,
                   .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                   /* the top bit distinguishes it from the streams of layers */
                   .epoch = {(uint32_t)epoch, UINT32_C(0x80000000) | (uint32_t)(epoch >> 32)},
                   .taken = NNC_RANDOM_WORDS};
  for (size_t i = 0; i < n; i++) order[i] = (int64_t)i;
  for (size_t i = n; i > 1; i--) {
    const size_t j = i <= UINT32_MAX ? below(&s, (uint32_t)i) : (size_t)far_below(&s, i);
    const int64_t swapped = order[i - 1];
    order[i - 1] = order[j];
    order[j] = swapped;
  }
}
