/* What a broken invariant does in debug builds. */
#include "base/platform.h"

_Noreturn void tl_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, cond);
    abort();
}
