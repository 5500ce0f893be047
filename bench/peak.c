/* bench_peak THREADS: what the machine can do, measured now: GFLOP/s of multiply-adds on floats that stay in
 * registers, GB/s read from memory; on one line, all threads together, with the widest vectors there are. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS    0.3
#define CHAINS     12 /* independent sums: more than latency times units */
#define ROUNDS     20000
#define SUM_SIZE   ((size_t)256 << 20) /* bytes read by each thread, more than caches hold */
#define MAX_THREADS 64

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#if defined __x86_64__
#define REGISTER "+x"
#elif defined __aarch64__
#define REGISTER "+w"
#else
#define REGISTER "+m"
#endif
#define EACH(F)  F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#define BEGIN(i) __typeof__(x) s##i = {0};
#define STEP(i)  s##i = x * y + s##i;
#define KEEP(i)  __asm__("" : REGISTER(s##i)); /* neither left out nor added up before the end */
#define END(i)   all += s##i;

/* What a machine without known vectors compiles to comes last. */
#define LOOPS(name, lanes, target)                                                                \
    typedef float name##_v __attribute__((vector_size(lanes * 4), aligned(4)));                   \
    target static float multiply_##name(void)                                                     \
    {                                                                                             \
        name##_v x = {0}, y = {0}, all = {0};                                                     \
        EACH(BEGIN)                                                                               \
        for (int i = 0; i < ROUNDS; i++) {                                                        \
            EACH(STEP)                                                                            \
            EACH(KEEP)                                                                            \
        }                                                                                         \
        EACH(END)                                                                                 \
        return all[0];                                                                            \
    }                                                                                             \
    target static float add_up_##name(const float *p, size_t n)                                   \
    {                                                                                             \
        name##_v sum[8];                                                                          \
        memset(sum, 0, sizeof sum);                                                               \
        for (size_t i = 0; i + 8 * lanes <= n; i += 8 * lanes)                                    \
            _Pragma("GCC unroll 8") for (int k = 0; k < 8; k++) sum[k] +=                         \
                *(const name##_v *)(const void *)(p + i + k * lanes);                             \
        for (int k = 1; k < 8; k++)                                                               \
            sum[0] += sum[k];                                                                     \
        return sum[0][0];                                                                         \
    }
#if defined __x86_64__
LOOPS(avx512, 16, __attribute__((target("avx512f"))))
LOOPS(avx2, 8, __attribute__((target("avx2,fma"))))
#endif
LOOPS(plain, 4, )

typedef struct machine {
    int lanes;
    float (*multiply)(void);
    float (*add_up)(const float *, size_t);
} machine;

static machine find_machine(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return (machine){16, multiply_avx512, add_up_avx512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (machine){8, multiply_avx2, add_up_avx2};
#endif
    return (machine){4, multiply_plain, add_up_plain};
}

typedef struct part {
    pthread_t thread;
    float *data;
    double gflops, gbytes;
    volatile float kept;
} part;

/* The best of what fits the time: neighbours only make it slower. */
static void *measure(void *arg)
{
    part *p = arg;
    machine m = find_machine();
    size_t n = SUM_SIZE / sizeof(float);
    for (double end = seconds() + SECONDS; seconds() < end;) {
        double start = seconds();
        p->kept = m.multiply();
        double rate = 2e-9 * m.lanes * CHAINS * ROUNDS / (seconds() - start);
        p->gflops = rate > p->gflops ? rate : p->gflops;
    }
    for (double end = seconds() + SECONDS; seconds() < end;) {
        double start = seconds();
        p->kept = m.add_up(p->data, n);
        double rate = 1e-9 * (double)SUM_SIZE / (seconds() - start);
        p->gbytes = rate > p->gbytes ? rate : p->gbytes;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static part parts[MAX_THREADS];
    long n = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    double gflops = 0, gbytes = 0;
    if (n < 1 || n > MAX_THREADS)
        return 2;
    for (long i = 0; i < n; i++) {
        if (!(parts[i].data = malloc(SUM_SIZE)))
            return 3;
        memset(parts[i].data, 1, SUM_SIZE);
    }
    for (long i = 0; i < n; i++)
        if (pthread_create(&parts[i].thread, NULL, measure, &parts[i]))
            return 3;
    for (long i = 0; i < n; i++) {
        pthread_join(parts[i].thread, NULL);
        gflops += parts[i].gflops;
        gbytes += parts[i].gbytes;
        free(parts[i].data);
    }
    printf("%.2f %.2f\n", gflops, gbytes);
    return 0;
}
