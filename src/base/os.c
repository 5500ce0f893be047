/* Threads, time, processor. Memory of threads and gates comes from malloc: they belong to no context. */
#define _GNU_SOURCE /* sched_getaffinity */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define ON_X86 1
#else
#define ON_X86 0
#endif

int tl_os_processors(void)
{
#if defined(__linux__)
    cpu_set_t usable;
    if (!sched_getaffinity(0, sizeof usable, &usable) && CPU_COUNT(&usable) > 0)
        return CPU_COUNT(&usable);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (int)TL_MIN(n, 4096);
}

uint64_t tl_os_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- processor ---- */

#if ON_X86
/* Which register states the operating system saves (XCR0). */
static uint32_t saved_states(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Bits as in Intel's manual, volume 2, CPUID leaves 1 and 7; XCR0 as in volume 1, 13.3. */
tl_cpu tl_os_cpu(void)
{
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX = 1 << 28 };        /* leaf 1, ecx */
    enum { AVX2 = 1 << 5, F = 1 << 16, DQ = 1 << 17, BW = 1 << 30 }; /* leaf 7, ebx */
    enum { AVX_VNNI = 1 << 4 };                                      /* leaf 7.1, eax */
    const uint32_t vl = 1u << 31, vnni = 1u << 11;                   /* leaf 7, ebx and ecx */
    const uint32_t ymm = 0x06, zmm = 0xe6;
    tl_cpu cpu = {0};
    uint32_t a, b1, b, c1, c, d;
    if (!__get_cpuid(1, &a, &b1, &c1, &d) || !(c1 & OSXSAVE) || !(c1 & AVX) ||
        !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return cpu;
    uint32_t states = saved_states(), avx512 = (uint32_t)(F | DQ | BW) | vl;
    cpu.avx2_fma = (states & ymm) == ymm && (c1 & FMA) && (b & AVX2);
    cpu.avx512 = cpu.avx2_fma && (states & zmm) == zmm && (b & avx512) == avx512;
    cpu.avx512_vnni = cpu.avx512 && (c & vnni);
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
        cpu.avx_vnni = cpu.avx2_fma && (a & AVX_VNNI);
    return cpu;
}

void tl_os_pause(void)
{
    __builtin_ia32_pause();
}
#else
tl_cpu tl_os_cpu(void)
{
    return (tl_cpu){0};
}

void tl_os_pause(void)
{
#if defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
#endif

/* ---- threads ---- */

struct tl_thread {
    pthread_t id;
    void (*run)(void *);
    void *arg;
};

static void *thread_main(void *arg)
{
    tl_thread *thread = arg;
    thread->run(thread->arg);
    return NULL;
}

tl_thread *tl_os_thread_start(void (*run)(void *), void *arg)
{
    tl_thread *thread = malloc(sizeof *thread);
    if (!thread)
        return NULL;
    *thread = (tl_thread){.run = run, .arg = arg};
    /* signals are the business of the caller's own threads */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread->id, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        return thread;
    free(thread);
    return NULL;
}

void tl_os_thread_join(tl_thread *thread)
{
    if (!thread)
        return;
    pthread_join(thread->id, NULL);
    free(thread);
}

/* ---- gates ---- */

struct tl_gate {
    _Atomic uint32_t value; /* changed under the lock, read without */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

tl_gate *tl_os_gate_new(void)
{
    tl_gate *gate = malloc(sizeof *gate);
    if (!gate)
        return NULL;
    atomic_init(&gate->value, 0);
    if (!pthread_mutex_init(&gate->lock, NULL)) {
        if (!pthread_cond_init(&gate->changed, NULL))
            return gate;
        pthread_mutex_destroy(&gate->lock);
    }
    free(gate);
    return NULL;
}

void tl_os_gate_free(tl_gate *gate)
{
    if (!gate)
        return;
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
}

uint32_t tl_os_gate_value(tl_gate *gate)
{
    return atomic_load_explicit(&gate->value, memory_order_acquire);
}

void tl_os_gate_bump(tl_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    atomic_fetch_add_explicit(&gate->value, 1, memory_order_release);
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void tl_os_gate_wait(tl_gate *gate, uint32_t seen)
{
    pthread_mutex_lock(&gate->lock);
    while (tl_os_gate_value(gate) == seen)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}
