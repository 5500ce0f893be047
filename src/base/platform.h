/* Compiler and language helpers. With base/os.c this is the only file that may use GNU extensions
 * or ask which operating system or processor it is on. */
#ifndef TL_BASE_PLATFORM_H
#define TL_BASE_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tolite reads and writes little-endian files in place; big-endian hosts are not supported"
#endif

#define TL_PRINTF(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))
#define TL_MUST_USE __attribute__((warn_unused_result))

/* Number of elements of an array (not of a pointer). */
#define TL_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define TL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TL_MAX(a, b) ((a) > (b) ? (a) : (b))

/* An invariant of our own code. Debug builds stop here; release builds do not test it. Where a broken
 * invariant could still be met at run time and reported, use tl_bug() of base/diag.h instead. */
#ifdef NDEBUG
#define TL_ASSERT(cond) ((void)sizeof(cond))
#else
#define TL_ASSERT(cond) ((cond) ? (void)0 : tl_assert_failed(#cond, __FILE__, __LINE__))
#endif
_Noreturn void tl_assert_failed(const char *cond, const char *file, int line);

/* Checked size arithmetic: true on success; on overflow false, *out undefined. */
static inline bool tl_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool tl_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline bool tl_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool tl_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Code for a processor feature in a file that is compiled for the base line: the caller has asked tl_os_cpu(). */
#if defined(__x86_64__)
#define TL_X86 1
#define TL_TARGET(features) __attribute__((target(features)))
#else
#define TL_X86 0
#define TL_TARGET(features)
#endif
/* Asks for a cache line that will be read soon, into the second cache; any address will do. */
#define TL_PREFETCH(address) __builtin_prefetch((address), 0, 2)
/* A helper that has to become part of its caller, which may be compiled for another processor. */
#define TL_INLINE static inline __attribute__((always_inline))
/* Four lanes: what every processor of today has. */
typedef float tl_f32x4 __attribute__((vector_size(16)));
typedef int32_t tl_i32x4 __attribute__((vector_size(16)));
typedef uint32_t tl_u32x4 __attribute__((vector_size(16)));

/* Address sanitizer builds see the unused parts of arena blocks as out of bounds. */
#if defined(__SANITIZE_ADDRESS__)
#define TL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TL_ASAN 1
#endif
#endif
#ifdef TL_ASAN
void __asan_poison_memory_region(const volatile void *p, size_t size);
void __asan_unpoison_memory_region(const volatile void *p, size_t size);
#define TL_POISON(p, size) __asan_poison_memory_region((p), (size))
#define TL_UNPOISON(p, size) __asan_unpoison_memory_region((p), (size))
#define TL_REDZONE 16
#else
#define TL_POISON(p, size) ((void)(p), (void)(size))
#define TL_UNPOISON(p, size) ((void)(p), (void)(size))
#define TL_REDZONE 0
#endif

#include "base/banned.h"
#endif
