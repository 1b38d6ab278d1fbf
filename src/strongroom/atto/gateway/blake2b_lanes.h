/* The search at one vector width. Included once a width, with SEARCH (its name), LANES (numbers of 64 bits side by
 * side) and TARGET (the attribute that allows its instructions).
 *
 * 40 bytes of data are one BLAKE2b compression (RFC 7693, section 3.2), of which only h[0] is wanted. Message word 0
 * is the nonce and 1 to 4 are the target; the others are zero and named all the same, so that the rounds read as in
 * the RFC and the compiler drops those additions.
 */

#define VECTOR JOIN(SEARCH, _vector)
typedef uint64_t VECTOR __attribute__((vector_size(8 * LANES)));

#define ROTATE(x, n) ((x) >> (n) | (x) << (64 - (n)))
#define ROTATE_32(x) ROTATE(x, 32)
#define ROTATE_24(x) ROTATE(x, 24)
#define ROTATE_16(x) ROTATE(x, 16)

#if LANES == 4 && !defined(__clang__)
/* AVX2 cannot rotate numbers of 64 bits, but it can shuffle their bytes. Clang sees this by itself. */
typedef uint8_t bytes_of_4 __attribute__((vector_size(32)));
#define SHUFFLE_BYTES(x, ...) ((VECTOR)__builtin_shuffle((bytes_of_4)(x), (bytes_of_4){__VA_ARGS__}))
#undef ROTATE_32
#undef ROTATE_24
#undef ROTATE_16
#define ROTATE_32(x)                                                                                          \
    SHUFFLE_BYTES(x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11, /**/ 20, 21, 22, 23, 16, 17, 18, \
                  19, 28, 29, 30, 31, 24, 25, 26, 27)
#define ROTATE_24(x)                                                                                          \
    SHUFFLE_BYTES(x, 3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, /**/ 19, 20, 21, 22, 23, 16, 17, \
                  18, 27, 28, 29, 30, 31, 24, 25, 26)
#define ROTATE_16(x)                                                                                          \
    SHUFFLE_BYTES(x, 2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, /**/ 18, 19, 20, 21, 22, 23, 16, \
                  17, 26, 27, 28, 29, 30, 31, 24, 25)
#endif

#define G(a, b, c, d, x, y)   \
    a += b + x;               \
    d = ROTATE_32((d ^ a));   \
    c += d;                   \
    b = ROTATE_24((b ^ c));   \
    a += b + y;               \
    d = ROTATE_16((d ^ a));   \
    c += d;                   \
    b = ROTATE((b ^ c), 63);

#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15) \
    G(v0, v4, v8, v12, m##s0, m##s1)                                                \
    G(v1, v5, v9, v13, m##s2, m##s3)                                                \
    G(v2, v6, v10, v14, m##s4, m##s5)                                               \
    G(v3, v7, v11, v15, m##s6, m##s7)                                               \
    G(v0, v5, v10, v15, m##s8, m##s9)                                               \
    G(v1, v6, v11, v12, m##s10, m##s11)                                             \
    G(v2, v7, v8, v13, m##s12, m##s13)                                              \
    G(v3, v4, v9, v14, m##s14, m##s15)

TARGET static int SEARCH(const uint64_t target[4], uint64_t threshold, uint64_t start, int32_t *stop,
                         uint64_t *found)
{
    const VECTOR zero = {0};
    const VECTOR highest = zero + threshold;
    const VECTOR m1 = zero + target[0], m2 = zero + target[1], m3 = zero + target[2], m4 = zero + target[3];
    const VECTOR m5 = zero, m6 = zero, m7 = zero, m8 = zero, m9 = zero, m10 = zero, m11 = zero;
    const VECTOR m12 = zero, m13 = zero, m14 = zero, m15 = zero;
    VECTOR m0;
    for (int lane = 0; lane < LANES; lane++)
        m0[lane] = start + lane;

    while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
        for (int step = 0; step < STEPS_BETWEEN_LOOKS; step++, m0 += LANES) {
            VECTOR v0 = zero + H0, v1 = zero + IV1, v2 = zero + IV2, v3 = zero + IV3;
            VECTOR v4 = zero + IV4, v5 = zero + IV5, v6 = zero + IV6, v7 = zero + IV7;
            VECTOR v8 = zero + IV0, v9 = zero + IV1, v10 = zero + IV2, v11 = zero + IV3;
            VECTOR v12 = zero + (IV4 ^ DATA_SIZE), v13 = zero + IV5, v14 = zero + ~IV6, v15 = zero + IV7;

            ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
            ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
            ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4)
            ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8)
            ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13)
            ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9)
            ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11)
            ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10)
            ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5)
            ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0)
            ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
            ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)

            const VECTOR hits = (VECTOR)((H0 ^ v0 ^ v8) <= highest);
            uint64_t hit = 0;
            for (int lane = 0; lane < LANES; lane++)
                hit |= hits[lane];
            if (!hit)
                continue;
            for (int lane = LANES - 1; lane >= 0; lane--)
                if (hits[lane])
                    *found = m0[lane]; /* the lowest is written last */
            __atomic_store_n(stop, 1, __ATOMIC_RELAXED);
            return 1;
        }
    }
    return 0;
}

#undef SEARCH
#undef LANES
#undef TARGET
#undef VECTOR
#undef ROTATE
#undef ROTATE_32
#undef ROTATE_24
#undef ROTATE_16
#undef G
#undef ROUND
