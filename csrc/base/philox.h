/* philox.h: the counter-based generator Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011), one block at a time, for host code such as shuffles. Random numbers depend only on (key, counter), so there is no state
 * to save or to share. Not for cryptography. ops/random/random.h has the vectorised version.
 */
#ifndef NNC_BASE_PHILOX_H
#define NNC_BASE_PHILOX_H

#include <stdint.h>

#define NNC_PHILOX_M0 0xD2511F53u /* multipliers and key increments: the paper's table 2 and section 3.2 */
#define NNC_PHILOX_M1 0xCD9E8D57u
#define NNC_PHILOX_W0 0x9E3779B9u
#define NNC_PHILOX_W1 0xBB67AE85u
#define NNC_PHILOX_ROUNDS 10

static inline void nnc_philox(uint32_t word[4], const uint32_t counter[4], const uint32_t key[2]) {
  uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3], k0 = key[0], k1 = key[1];
  for (int round = 0; round < NNC_PHILOX_ROUNDS; round++) {
    const uint64_t a = (uint64_t)NNC_PHILOX_M0 * x0, b = (uint64_t)NNC_PHILOX_M1 * x2;
    x0 = (uint32_t)(b >> 32) ^ x1 ^ k0;
    x1 = (uint32_t)b;
    x2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
    x3 = (uint32_t)a;
    k0 += NNC_PHILOX_W0;
    k1 += NNC_PHILOX_W1;
  }
  word[0] = x0;
  word[1] = x1;
  word[2] = x2;
  word[3] = x3;
}

#endif
