/* Walks: every element once, in order, through every view. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/ref/ref.h"

/* Against the odometer, for a shape and one view of it. */
static void check_walk(int rank, const int64_t *shape, int64_t start, const int64_t *stride)
{
    int64_t dense[TL_MAX_RANK], element = 0;
    tl_ref_walk w;
    tl_ref_strides(rank, shape, dense);
    tl_ref_walk_init(&w, rank, shape);
    tl_ref_walk_view(&w, start, stride);
    while (tl_ref_walk_next(&w)) {
        assert_true(w.n > 0 && w.n <= TL_REF_RUN);
        assert_int_equal(w.done, element);
        for (int64_t i = 0; i < w.n; i++, element++) {
            int64_t at = start;
            for (int k = 0; k < rank; k++)
                at += element / dense[k] % shape[k] * stride[k];
            assert_int_equal(w.at[0] + i * w.step[0], at);
        }
    }
    assert_int_equal(element, tl_ref_product(0, rank, shape));
}

#define CHECK(start, shape_, stride_)                                                    \
    check_walk((int)TL_COUNT(((const int64_t[])shape_)), (const int64_t[])shape_, start, \
               (const int64_t[])stride_)
#define L(...)      \
    {               \
        __VA_ARGS__ \
    }

static void walks_visit_every_element(void **state)
{
    (void)state;
    check_walk(0, NULL, 3, NULL);
    CHECK(0, L(1), L(1));
    CHECK(0, L(5), L(0));
    CHECK(0, L(2, 3), L(3, 1));
    CHECK(0, L(2, 3), L(1, 2));
    CHECK(5, L(2, 3), L(-3, -1));
    CHECK(0, L(4, 1, 300), L(300, 7, 1));
    CHECK(0, L(3, 257, 2), L(2, 6, 1));
    CHECK(9, L(3, 0, 2), L(2, 6, 1));
    CHECK(0, L(2, 3, 2, 5), L(0, 10, 5, 1));
    CHECK(0, L(1, 1, 1), L(9, 9, 9));
    CHECK(0, L(1000), L(2));
}

static void walks_start_again_elsewhere(void **state)
{
    const int64_t shape[2] = {2, 2}, stride[2] = {10, 1};
    tl_ref_walk w;
    (void)state;
    tl_ref_walk_init(&w, 2, shape);
    tl_ref_walk_view(&w, 0, stride);
    for (int64_t start = 0; start < 3; start++) {
        tl_ref_walk_move(&w, 0, start);
        tl_ref_walk_rewind(&w);
        assert_true(tl_ref_walk_next(&w));
        assert_int_equal(w.at[0], start);
        assert_true(tl_ref_walk_next(&w));
        assert_int_equal(w.at[0], start + 10);
        assert_false(tl_ref_walk_next(&w));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_visit_every_element),
        cmocka_unit_test(walks_start_again_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
