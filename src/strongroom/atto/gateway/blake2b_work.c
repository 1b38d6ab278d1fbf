/* Search for proof of work: the first nonce whose BLAKE2b digest of 8 bytes, over the nonce and a target of
 * 32 bytes, is a number not above a threshold. Everything is little-endian.
 *
 * Compiled for several vector widths into one library, which is asked at run time for the widest that this
 * processor has. Needs GCC or Clang for their vector extensions, and no headers of Python: it is loaded with ctypes.
 */
#include <stdint.h>

#define IV0 0x6a09e667f3bcc908u
#define IV1 0xbb67ae8584caa73bu
#define IV2 0x3c6ef372fe94f82bu
#define IV3 0xa54ff53a5f1d36f1u
#define IV4 0x510e527fade682d1u
#define IV5 0x9b05688c2b3e6c1fu
#define IV6 0x1f83d9abfb41bd6bu
#define IV7 0x5be0cd19137e2179u

#define H0 (IV0 ^ 0x01010008u) /* no key, digest of 8 bytes */
#define DATA_SIZE 40u
#define STEPS_BETWEEN_LOOKS 256 /* at the stop flag: microseconds */

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#define SEARCH search_1
#define LANES 1
#define TARGET
#include "blake2b_lanes.h"

#if defined(__x86_64__)
#define SEARCH search_4
#define LANES 4
#define TARGET __attribute__((target("avx2")))
#include "blake2b_lanes.h"

#define SEARCH search_8
#define LANES 8
#define TARGET __attribute__((target("avx512f")))
#include "blake2b_lanes.h"
#endif

/* How many nonces this processor can try side by side. */
int strongroom_widest(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        return 8;
    if (__builtin_cpu_supports("avx2"))
        return 4;
#endif
    return 1;
}

/* Tries the nonces from `start` on, around the end of 64 bits, until one is found or somebody sets `stop`.
 * Returns 1 with the nonce in `found`, having set `stop` for others who share it; 0 when stopped; -1 when `lanes` is
 * not a width of this library. A width above strongroom_widest() is the caller's crash.
 */
int strongroom_search(int lanes, const uint8_t target[32], uint64_t threshold, uint64_t start, int32_t *stop,
                      uint64_t *found)
{
    uint64_t words[4] = {0};
    for (int at = 0; at < 32; at++)
        words[at / 8] |= (uint64_t)target[at] << 8 * (at % 8);

    switch (lanes) {
    case 1:
        return search_1(words, threshold, start, stop, found);
#if defined(__x86_64__)
    case 4:
        return search_4(words, threshold, start, stop, found);
    case 8:
        return search_8(words, threshold, start, stop, found);
#endif
    default:
        return -1;
    }
}
