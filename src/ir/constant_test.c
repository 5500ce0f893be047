/* Constants: every kind against values computed by hand, chains of them against a plain model. */
#include "base/testing.h"
#include <math.h>

#include "ir/constant_private.h"

typedef struct fixture {
    tl_context *cx;
    tl_arena arena, scratch;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->cx = tl_context_create(NULL, NULL);
    tl_arena_init(&f->arena, f->cx);
    tl_arena_init(&f->scratch, f->cx);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    tl_arena_release(&f->arena);
    tl_arena_release(&f->scratch);
    tl_context_destroy(f->cx);
    free(f);
    return 0;
}

#define SHAPE(...) ((int64_t[]){__VA_ARGS__})
#define LIST(...)  ((double[]){__VA_ARGS__}), TL_COUNT(((double[]){__VA_ARGS__}))

/* 0, 1, 2, ... in owned bytes. */
static const tl_const *counting(fixture *f, tl_dtype dtype, int rank, const int64_t *shape)
{
    int64_t n = tl_shape_product(shape, 0, rank);
    uint8_t *data = TL_NEW_ARRAY(&f->arena, uint8_t, n * 8 + 8);
    for (int64_t i = 0; i < n; i++)
        tl_dtype_set_i64(dtype, data, i, i);
    return tl_const_bytes(&f->arena, dtype, rank, shape, data);
}

/* The same in a file, behind `offset` bytes of something else. */
static const tl_const *in_file(fixture *f, const tl_const *c, size_t offset)
{
    size_t size = (size_t)tl_const_size(c);
    uint8_t *data = TL_NEW_ARRAY(&f->arena, uint8_t, offset + size);
    memset(data, 0xee, offset);
    assert_int_equal(tl_const_read(f->cx, c, 0, c->count, data + offset, &f->scratch), TL_OK);
    tl_file *file;
    assert_int_equal(tl_file_open_memory(f->cx, "weights", data, offset + size, &file), TL_OK);
    return tl_const_file(&f->arena, c->dtype, c->rank, c->shape, file, offset);
}

static void close_file(const tl_const *c)
{
    tl_file_unref(c->u.file.file);
}

static void check(fixture *f, const tl_const *c, const double *want, size_t n)
{
    assert_non_null(c);
    assert_int_equal(tl_const_count(c), n);
    const double *got = tl_const_load_f64(f->cx, c, &f->arena);
    assert_non_null(got);
    for (size_t i = 0; i < n; i++)
        if (got[i] != want[i])
            fail_msg("element %zu: %g, expected %g", i, got[i], want[i]);
}

static void check_shape(const tl_const *c, int rank, const int64_t *shape)
{
    assert_int_equal(tl_const_rank(c), rank);
    assert_memory_equal(tl_const_shape(c), shape, (size_t)rank * sizeof *shape);
}

/* ---- leaves ---- */

static void leaves(void **state)
{
    fixture *f = *state;
    const tl_const *c = counting(f, TL_F32, 2, SHAPE(2, 3));
    check(f, c, LIST(0, 1, 2, 3, 4, 5));
    assert_int_equal(tl_const_size(c), 24);
    float half = 0.5f;
    check(f, tl_const_splat(&f->arena, TL_F32, 1, SHAPE(3), &half), LIST(.5, .5, .5));
    check(f, tl_const_iota(&f->arena, TL_I64, 4, 10, -3), LIST(10, 7, 4, 1));
    check(f, tl_const_iota(&f->arena, TL_F16, 3, 0, .25), LIST(0, .25, .5));
    int32_t scalar = -7;
    check(f, tl_const_bytes(&f->arena, TL_I32, 0, NULL, &scalar), LIST(-7));
    int32_t middle[2];
    assert_int_equal(
        tl_const_read(f->cx, tl_const_iota(&f->arena, TL_I32, 9, 0, 1), 4, 2, middle, &f->scratch),
        TL_OK);
    assert_int_equal(middle[1], 5);
}

static void a_file_is_read_by_range(void **state)
{
    fixture *f = *state;
    const tl_const *file = in_file(f, counting(f, TL_I16, 2, SHAPE(3, 4)), 5);
    int16_t part[3];
    assert_int_equal(tl_const_read(f->cx, file, 6, 3, part, &f->scratch), TL_OK);
    assert_int_equal(part[0], 6);
    assert_int_equal(part[2], 8);
    const tl_const *cut = tl_const_file(&f->arena, TL_I16, 1, SHAPE(40), file->u.file.file, 5);
    assert_int_not_equal(
        tl_const_read(f->cx, cut, 0, 40, TL_NEW_ARRAY(&f->arena, int16_t, 40), &f->scratch), TL_OK);
    close_file(file);
}

static void packed_types(void **state)
{
    fixture *f = *state;
    /* i4: low bits first: 0x21 = 1, 2 */
    const tl_const *c = tl_const_bytes(&f->arena, TL_I4, 1, SHAPE(5), "\x21\xf8\x07");
    check(f, c, LIST(1, 2, -8, -1, 7));
    assert_int_equal(tl_const_size(c), 3);
    check(f,
          tl_const_transpose(&f->arena, tl_const_reshape(&f->arena, c, 2, SHAPE(5, 1)),
                             (int[]){1, 0}),
          LIST(1, 2, -8, -1, 7));
    check(f, tl_const_slice(&f->arena, c, SHAPE(4), SHAPE(5), SHAPE(-1)), LIST(7, -1, -8, 2, 1));
    check(f, tl_const_slice(&f->arena, c, SHAPE(1), SHAPE(3), SHAPE(1)), LIST(2, -8, -1));
    check(f, tl_const_slice(&f->arena, c, SHAPE(2), SHAPE(3), SHAPE(1)), LIST(-8, -1, 7));
    check(f, tl_const_cast(&f->arena, c, TL_F32), LIST(1, 2, -8, -1, 7));
    check(f, tl_const_cast(&f->arena, c, TL_U4), LIST(1, 2, 0, 0, 7));
    check(f, tl_const_cast(&f->arena, counting(f, TL_I32, 1, SHAPE(5)), TL_I2),
          LIST(0, 1, 1, 1, 1));
    const tl_const *parts[] = {c, c};
    check(f, tl_const_concat(&f->arena, parts, 2, 0), LIST(1, 2, -8, -1, 7, 1, 2, -8, -1, 7));
    check(f, tl_const_pad(&f->arena, c, SHAPE(1), SHAPE(2), "\x0d"),
          LIST(-3, 1, 2, -8, -1, 7, -3, -3));
    check(f, tl_const_splat(&f->arena, TL_I2, 1, SHAPE(3), "\x03"), LIST(-1, -1, -1));
    const tl_const *file = in_file(f, c, 3);
    check(f, file, LIST(1, 2, -8, -1, 7));
    check(f, tl_const_slice(&f->arena, file, SHAPE(1), SHAPE(2), SHAPE(2)), LIST(2, -1));
    /* bits behind the last element are 0, whatever the file holds there */
    uint8_t last = 0xff;
    tl_const_read(f->cx, tl_const_bytes(&f->arena, TL_I4, 1, SHAPE(1), "\xf3"), 0, 1, &last,
                  &f->scratch);
    assert_int_equal(last, 3);
    close_file(file);
    tl_arena_release(&f->scratch);
}

/* ---- views ---- */

static void views(void **state)
{
    fixture *f = *state;
    const tl_const *c = counting(f, TL_F32, 2, SHAPE(2, 3));
    const tl_const *t = tl_const_transpose(&f->arena, c, (int[]){1, 0});
    check_shape(t, 2, SHAPE(3, 2));
    check(f, t, LIST(0, 3, 1, 4, 2, 5));
    check(f, tl_const_slice(&f->arena, c, SHAPE(1, 2), SHAPE(2, 2), SHAPE(-1, -2)),
          LIST(5, 3, 2, 0));
    check(f, tl_const_slice(&f->arena, t, SHAPE(0, 1), SHAPE(3, 1), SHAPE(1, 1)), LIST(3, 4, 5));
    const tl_const *row = tl_const_slice(&f->arena, c, SHAPE(1, 0), SHAPE(1, 3), SHAPE(1, 1));
    assert_int_equal(tl_const_get_kind(row), TL_CONST_BYTES); /* in one piece: moved, not viewed */
    check(f, tl_const_broadcast(&f->arena, row, 3, SHAPE(2, 2, 3)),
          LIST(3, 4, 5, 3, 4, 5, 3, 4, 5, 3, 4, 5));
    const tl_const *column = tl_const_slice(&f->arena, c, SHAPE(0, 1), SHAPE(2, 1), SHAPE(1, 1));
    check(f, tl_const_broadcast(&f->arena, column, 2, SHAPE(2, 3)), LIST(1, 1, 1, 4, 4, 4));
    check(f, tl_const_slice(&f->arena, c, SHAPE(0, 0), SHAPE(0, 3), SHAPE(1, 1)), NULL, 0);
}

static void views_collapse(void **state)
{
    fixture *f = *state;
    const tl_const *c = counting(f, TL_F32, 3, SHAPE(2, 3, 4));
    const tl_const *t = tl_const_transpose(&f->arena, c, (int[]){2, 0, 1});
    assert_int_equal(tl_const_get_kind(t), TL_CONST_VIEW);
    const tl_const *back = tl_const_transpose(&f->arena, t, (int[]){1, 2, 0});
    assert_ptr_equal(back, c);
    assert_ptr_equal(tl_const_transpose(&f->arena, c, (int[]){0, 1, 2}), c);
    assert_ptr_equal(tl_const_reshape(&f->arena, c, 3, SHAPE(2, 3, 4)), c);
    const tl_const *flat = tl_const_reshape(&f->arena, c, 1, SHAPE(24));
    assert_int_equal(tl_const_get_kind(flat), TL_CONST_BYTES);
    /* axes that lie together stay one view: [4, 2, 3] -> [4, 6] -> [2, 2, 6] */
    const tl_const *split = tl_const_reshape(
        &f->arena, tl_const_reshape(&f->arena, t, 2, SHAPE(4, 6)), 3, SHAPE(2, 2, 6));
    assert_int_equal(tl_const_get_kind(split), TL_CONST_VIEW);
    assert_ptr_equal(split->x, c);
    /* merging axes that do not: elements of the view in order */
    const tl_const *odd = tl_const_reshape(&f->arena, t, 1, SHAPE(24));
    assert_int_equal(tl_const_get_kind(odd), TL_CONST_RESHAPE);
    check(
        f, odd,
        LIST(0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23));
    check(f, tl_const_slice(&f->arena, odd, SHAPE(7), SHAPE(3), SHAPE(5)), LIST(5, 2, 22));
}

/* Rows of a fully connected layer put in another order and transposed back: one view of the file, not a
 * chain that is gathered twice. */
static void transposes_pass_merges(void **state)
{
    fixture *f = *state;
    const tl_const *c = counting(f, TL_F32, 2, SHAPE(5, 12)); /* [o, c h w] */
    const tl_const *rows = tl_const_transpose(&f->arena, c, (int[]){1, 0});
    rows = tl_const_reshape(&f->arena, rows, 4, SHAPE(3, 2, 2, 5));
    rows = tl_const_transpose(&f->arena, rows, (int[]){1, 2, 0, 3}); /* [h, w, c, o] */
    rows = tl_const_reshape(&f->arena, rows, 2, SHAPE(12, 5));
    const tl_const *back = tl_const_transpose(&f->arena, rows, (int[]){1, 0});
    assert_int_equal(back->kind, TL_CONST_RESHAPE);
    assert_int_equal(back->x->kind, TL_CONST_VIEW);
    assert_true(back->x->x == c);
    float v[60];
    assert_int_equal(tl_const_read(f->cx, back, 0, 60, v, &f->scratch), TL_OK);
    for (int o = 0; o < 5; o++)
        for (int p = 0; p < 4; p++)
            for (int k = 0; k < 3; k++)
                assert_true(v[o * 12 + p * 3 + k] == (float)(o * 12 + k * 4 + p));
}

static void views_pass_maps(void **state)
{
    fixture *f = *state;
    const tl_const *c = counting(f, TL_F16, 2, SHAPE(2, 3));
    const tl_const *t = tl_const_transpose(&f->arena, c, (int[]){1, 0});
    const tl_const *m = tl_const_muladd(&f->arena, tl_const_cast(&f->arena, t, TL_F32), 0,
                                        (double[]){1, 10, 100}, (double[]){0, 1, 0});
    check(f, m, LIST(0, 3, 11, 41, 200, 500));
    const tl_const *back = tl_const_transpose(&f->arena, m, (int[]){1, 0});
    check(f, back, LIST(0, 11, 200, 3, 41, 500));
    assert_int_equal(tl_const_get_kind(back), TL_CONST_MULADD);
    assert_ptr_equal(back->x->x, c); /* the two transposes met */
    check(f, tl_const_slice(&f->arena, back, SHAPE(1, 2), SHAPE(1, 2), SHAPE(1, -1)),
          LIST(500, 41));
    const tl_const *wide = tl_const_reshape(&f->arena, back, 3, SHAPE(2, 1, 3));
    assert_int_equal(tl_const_get_kind(wide), TL_CONST_MULADD);
    check(f, wide, LIST(0, 11, 200, 3, 41, 500));
    check(f, tl_const_reshape(&f->arena, back, 1, SHAPE(6)), LIST(0, 11, 200, 3, 41, 500));
}

/* ---- concat, pad ---- */

static void joins(void **state)
{
    fixture *f = *state;
    const tl_const *a = counting(f, TL_I32, 2, SHAPE(2, 2)),
                   *b = counting(f, TL_I32, 2, SHAPE(2, 1));
    const tl_const *none = counting(f, TL_I32, 2, SHAPE(2, 0));
    const tl_const *parts[] = {a, none, b, a};
    const tl_const *c = tl_const_concat(&f->arena, parts, 4, 1);
    check_shape(c, 2, SHAPE(2, 5));
    check(f, c, LIST(0, 1, 0, 0, 1, 2, 3, 1, 2, 3));
    const tl_const *t = tl_const_transpose(&f->arena, c, (int[]){1, 0});
    check(f, t, LIST(0, 2, 1, 3, 0, 1, 0, 2, 1, 3));
    check(f, tl_const_concat(&f->arena, (const tl_const *[]){a, a}, 2, 0),
          LIST(0, 1, 2, 3, 0, 1, 2, 3));
    int32_t nine = 9;
    const tl_const *p = tl_const_pad(&f->arena, a, SHAPE(1, 0), SHAPE(0, 1), &nine);
    check_shape(p, 2, SHAPE(3, 3));
    check(f, p, LIST(9, 9, 9, 0, 1, 9, 2, 3, 9));
    check(f, tl_const_transpose(&f->arena, p, (int[]){1, 0}), LIST(9, 0, 2, 9, 1, 3, 9, 9, 9));
    check(f,
          tl_const_pad(&f->arena, counting(f, TL_I32, 3, SHAPE(1, 1, 2)), SHAPE(0, 1, 0),
                       SHAPE(1, 0, 0), &nine),
          LIST(9, 9, 0, 1, 9, 9, 9, 9));
    assert_ptr_equal(tl_const_pad(&f->arena, a, SHAPE(0, 0), SHAPE(0, 0), &nine), a);
}

/* ---- maps ---- */

static void casts(void **state)
{
    fixture *f = *state;
    const float x[] = {-1.5f, 300, 0, 2.5f};
    const tl_const *c = tl_const_bytes(&f->arena, TL_F32, 1, SHAPE(4), x);
    check(f, tl_const_cast(&f->arena, c, TL_I8), LIST(-1, 127, 0, 2));
    check(f, tl_const_cast(&f->arena, c, TL_U8), LIST(0, 255, 0, 2));
    check(f, tl_const_cast(&f->arena, c, TL_BOOL), LIST(1, 1, 0, 1));
    check(f, tl_const_cast(&f->arena, c, TL_F64), LIST(-1.5, 300, 0, 2.5));
    check(f, tl_const_cast(&f->arena, tl_const_cast(&f->arena, c, TL_F16), TL_F32),
          LIST(-1.5, 300, 0, 2.5));
    assert_ptr_equal(tl_const_cast(&f->arena, c, TL_F32), c);
    const int64_t big[] = {((int64_t)1 << 40) + 1, -5};
    const tl_const *i = tl_const_bytes(&f->arena, TL_I64, 1, SHAPE(2), big);
    check(f, tl_const_cast(&f->arena, i, TL_I32), LIST(2147483647, -5));
    const int64_t *back = tl_const_load_i64(f->cx, tl_const_cast(&f->arena, i, TL_U64), &f->arena);
    assert_int_equal(back[0], big[0]);
    float half = .5f;
    const tl_const *splat = tl_const_splat(&f->arena, TL_F32, 1, SHAPE(2), &half);
    assert_int_equal(tl_const_get_kind(tl_const_cast(&f->arena, splat, TL_F16)), TL_CONST_SPLAT);
    check(f, tl_const_cast(&f->arena, splat, TL_F16), LIST(.5, .5));
    const tl_const *four = tl_const_splat(&f->arena, TL_I4, 1, SHAPE(2), "\x0e");
    check(f, tl_const_cast(&f->arena, four, TL_F32), LIST(-2, -2));
}

static void muladds_fuse(void **state)
{
    fixture *f = *state;
    const tl_const *c = counting(f, TL_F32, 2, SHAPE(2, 2));
    const tl_const *a = tl_const_muladd(&f->arena, c, 1, (double[]){2, 3}, NULL);
    const tl_const *b = tl_const_muladd(&f->arena, a, 1, (double[]){1, .5}, (double[]){10, 20});
    check(f, a, LIST(0, 3, 4, 9));
    check(f, b, LIST(10, 21.5, 14, 24.5));
    assert_ptr_equal(b->x, c);
    const tl_const *other = tl_const_muladd(&f->arena, b, 0, NULL, (double[]){1, 2});
    check(f, other, LIST(11, 22.5, 16, 26.5));
    assert_ptr_equal(tl_const_muladd(&f->arena, c, 0, NULL, NULL), c);
    const tl_const *half = tl_const_cast(&f->arena, c, TL_BF16);
    check(f, tl_const_muladd(&f->arena, half, 0, (double[]){1, 2}, NULL), LIST(0, 1, 4, 6));
}

static void quantisation(void **state)
{
    fixture *f = *state;
    const float x[] = {0.25f, 0.75f, -1, 100, 1.25f, (float)NAN};
    const tl_const *c = tl_const_bytes(&f->arena, TL_F32, 2, SHAPE(2, 3), x);
    const tl_quant whole = {1, (float[]){.5f}, (int64_t[]){3}, -1, 0};
    /* 0.5 and 1.5 and 2.5 to even, saturated, NaN low */
    check(f, tl_const_quantize(&f->arena, c, TL_I8, &whole), LIST(3, 5, 1, 127, 5, -128));
    check(f, tl_const_quantize(&f->arena, c, TL_U8, &whole), LIST(3, 5, 1, 203, 5, 0));
    check(f, tl_const_quantize(&f->arena, c, TL_I4, &whole), LIST(3, 5, 1, 7, 5, -8));
    check(f, tl_const_quantize(&f->arena, c, TL_I32, &whole), LIST(3, 5, 1, 203, 5, -2147483648.0));
    const tl_quant rows = {2, (float[]){.25f, 2}, (int64_t[]){0, 1}, 0, 0};
    const tl_const *q = tl_const_quantize(&f->arena, c, TL_I8, &rows);
    check(f, q, LIST(1, 3, -4, 51, 2, -128));
    check(f, tl_const_transpose(&f->arena, q, (int[]){1, 0}), LIST(1, 51, 3, 2, -4, -128));
    check(f, tl_const_slice(&f->arena, q, SHAPE(1, 0), SHAPE(1, 2), SHAPE(1, 1)), LIST(51, 2));
    const tl_quant columns = {3, (float[]){.25f, .5f, 1}, (int64_t[]){0, 0, 0}, 1, 0};
    check(f, tl_const_quantize(&f->arena, c, TL_I16, &columns), LIST(1, 2, -1, 400, 2, -32768));
    /* blocks of two along the last axis of 3: two scales per row */
    const tl_quant blocks = {4, (float[]){.25f, .5f, 1, 2}, (int64_t[]){0, 0, 0, 0}, 1, 2};
    check(f, tl_const_quantize(&f->arena, c, TL_I8, &blocks), LIST(1, 3, -2, 100, 1, -128));
}

/* ---- chains against a plain model ---- */

typedef struct plain {
    int rank;
    int64_t shape[TL_MAX_RANK], count;
    double *v;
} plain;

typedef struct chain {
    fixture *f;
    uint64_t seed;
    const tl_const *c;
    plain p;
} chain;

static int64_t next_random(chain *g, int64_t limit)
{
    g->seed = g->seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((g->seed >> 33) % (uint64_t)limit);
}

/* p becomes the elements of itself at offset + index . stride, under a shape. */
static void plain_view(chain *g, int rank, const int64_t *shape, int64_t offset,
                       const int64_t *stride)
{
    plain out = {.rank = rank, .count = tl_shape_product(shape, 0, rank)};
    memcpy(out.shape, shape, (size_t)rank * sizeof *shape);
    out.v = TL_NEW_ARRAY(&g->f->arena, double, out.count + 1);
    for (int64_t i = 0; i < out.count; i++) {
        int64_t at = offset, left = i;
        for (int k = rank; k-- > 0; left /= shape[k])
            at += left % shape[k] * stride[k];
        out.v[i] = g->p.v[at];
    }
    g->p = out;
}

static void step_transpose(chain *g)
{
    int perm[TL_MAX_RANK], rank = g->p.rank;
    int64_t shape[TL_MAX_RANK], stride[TL_MAX_RANK], moved[TL_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    for (int i = rank - 1; i > 0; i--) {
        int k = (int)next_random(g, i + 1), keep = perm[i];
        perm[i] = perm[k];
        perm[k] = keep;
    }
    tl_const_strides(rank, g->p.shape, stride);
    for (int i = 0; i < rank; i++) {
        shape[i] = g->p.shape[perm[i]];
        moved[i] = stride[perm[i]];
    }
    plain_view(g, rank, shape, 0, moved);
    g->c = tl_const_transpose(&g->f->arena, g->c, perm);
}

static void step_slice(chain *g)
{
    int64_t begin[TL_MAX_RANK], size[TL_MAX_RANK], stride[TL_MAX_RANK], step[TL_MAX_RANK], at = 0;
    tl_const_strides(g->p.rank, g->p.shape, stride);
    for (int i = 0; i < g->p.rank; i++) {
        int64_t n = g->p.shape[i];
        step[i] = next_random(g, 3) ? 1 : next_random(g, 2) ? 2 : -1;
        size[i] = n < 3 ? n : n - next_random(g, 2);
        size[i] = step[i] == 2 ? (size[i] + 1) / 2 : size[i];
        begin[i] = step[i] < 0 ? size[i] - 1 : step[i] == 1 ? n - size[i] : 0;
        at += begin[i] * stride[i];
        stride[i] *= step[i];
    }
    g->c = tl_const_slice(&g->f->arena, g->c, begin, size, step);
    plain_view(g, g->p.rank, size, at, stride);
}

static void step_reshape(chain *g)
{
    /* merge two neighbours or split an even axis */
    int64_t shape[TL_MAX_RANK + 1];
    int rank = 0, at = (int)next_random(g, g->p.rank);
    bool split = g->p.shape[at] % 2 == 0 && g->p.rank < 5;
    for (int i = 0; i < g->p.rank; i++) {
        shape[rank++] = g->p.shape[i];
        if (i == at && split) {
            shape[rank - 1] /= 2;
            shape[rank++] = 2;
        } else if (i == at && i + 1 < g->p.rank) {
            shape[rank - 1] *= g->p.shape[++i];
        }
    }
    memcpy(g->p.shape, shape, (size_t)rank * sizeof *shape);
    g->p.rank = rank;
    g->c = tl_const_reshape(&g->f->arena, g->c, rank, shape);
}

static void step_muladd(chain *g)
{
    int axis = (int)next_random(g, g->p.rank);
    int64_t n = g->p.shape[axis], inner = tl_shape_product(g->p.shape, axis + 1, g->p.rank);
    double *mul = TL_NEW_ARRAY(&g->f->arena, double, n),
           *add = TL_NEW_ARRAY(&g->f->arena, double, n);
    double *v = TL_NEW_ARRAY(&g->f->arena, double, g->p.count + 1);
    for (int64_t i = 0; i < n; i++) {
        mul[i] = next_random(g, 2) ? 1 : -1; /* values stay small integers: all types are exact */
        add[i] = (double)next_random(g, 3);
    }
    for (int64_t i = 0; i < g->p.count; i++)
        v[i] = g->p.v[i] * mul[i / inner % n] + add[i / inner % n];
    g->p.v = v;
    g->c = tl_const_muladd(&g->f->arena, g->c, axis, mul, add);
}

static void step_pad(chain *g)
{
    int64_t lo[TL_MAX_RANK], hi[TL_MAX_RANK], shape[TL_MAX_RANK];
    for (int i = 0; i < g->p.rank; i++) {
        lo[i] = next_random(g, 2);
        hi[i] = next_random(g, 2);
        shape[i] = lo[i] + g->p.shape[i] + hi[i];
    }
    uint64_t element = 0;
    tl_dtype_set_f64(g->c->dtype, &element, 0, 5);
    g->c = tl_const_pad(&g->f->arena, g->c, lo, hi, &element);
    plain out = {.rank = g->p.rank, .count = tl_shape_product(shape, 0, g->p.rank)};
    memcpy(out.shape, shape, sizeof out.shape);
    out.v = TL_NEW_ARRAY(&g->f->arena, double, out.count + 1);
    for (int64_t i = 0; i < out.count; i++) {
        int64_t at = 0, left = i, step = 1;
        for (int k = out.rank; k-- > 0; left /= shape[k], step *= g->p.shape[k]) {
            int64_t index = left % shape[k] - lo[k];
            at = at < 0 || index < 0 || index >= g->p.shape[k] ? -1 : at + index * step;
            if (at < 0)
                break;
        }
        out.v[i] = at < 0 ? 5 : g->p.v[at];
    }
    g->p = out;
}

static void step_concat(chain *g)
{
    int axis = (int)next_random(g, g->p.rank);
    int64_t inner = tl_shape_product(g->p.shape, axis, g->p.rank);
    double *v = TL_NEW_ARRAY(&g->f->arena, double, 2 * g->p.count + 1);
    for (int64_t i = 0; i < 2 * g->p.count; i++)
        v[i] = g->p.v[i / (2 * inner) * inner + i % inner];
    g->p.v = v;
    g->p.shape[axis] *= 2;
    g->p.count *= 2;
    g->c = tl_const_concat(&g->f->arena, (const tl_const *[]){g->c, g->c}, 2, axis);
}

static void step_broadcast(chain *g)
{
    int64_t shape[TL_MAX_RANK], stride[TL_MAX_RANK], from[TL_MAX_RANK];
    if (g->p.rank >= 5)
        return;
    tl_const_strides(g->p.rank, g->p.shape, from);
    shape[0] = 2;
    stride[0] = 0;
    for (int i = 0; i < g->p.rank; i++) {
        bool one = g->p.shape[i] == 1;
        shape[i + 1] = one ? 3 : g->p.shape[i];
        stride[i + 1] = one ? 0 : from[i];
    }
    g->c = tl_const_broadcast(&g->f->arena, g->c, g->p.rank + 1, shape);
    plain_view(g, g->p.rank + 1, shape, 0, stride);
}

static void step_cast(chain *g)
{
    static const tl_dtype to[] = {TL_F32, TL_F64, TL_F16};
    g->c = tl_const_cast(&g->f->arena, g->c, to[next_random(g, 3)]);
}

/* Any range, not only the whole. */
static void check_chain(chain *g)
{
    assert_non_null(g->c);
    assert_int_equal(g->c->count, g->p.count);
    check_shape(g->c, g->p.rank, g->p.shape);
    size_t size = tl_const_wide_size(g->c->dtype);
    uint8_t *data = TL_NEW_ARRAY(&g->f->arena, uint8_t, (size_t)g->p.count * size + 1);
    for (int64_t first = 0; first < g->p.count;) {
        int64_t n = 1 + next_random(g, g->p.count - first);
        assert_int_equal(tl_const_read(g->f->cx, g->c, first, n, data, &g->f->scratch), TL_OK);
        for (int64_t i = 0; i < n; i++)
            if (tl_dtype_get_f64(g->c->dtype, data, i) != g->p.v[first + i])
                fail_msg("element %lld of kind %d", (long long)(first + i), (int)g->c->kind);
        first += n;
    }
}

static void chains(void **state)
{
    static void (*const steps[])(chain *) = {step_transpose, step_slice, step_reshape,
                                             step_muladd,    step_pad,   step_concat,
                                             step_broadcast, step_cast};
    fixture *f = *state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        chain g = {.f = f, .seed = seed};
        g.p.rank = 3;
        g.p.count = 1;
        for (int i = 0; i < 3; i++)
            g.p.count *= g.p.shape[i] = 1 + next_random(&g, 6);
        g.p.v = TL_NEW_ARRAY(&f->arena, double, g.p.count + 1);
        for (int64_t i = 0; i < g.p.count; i++)
            g.p.v[i] = (double)i;
        const tl_const *bytes = counting(f, TL_F32, 3, g.p.shape);
        const tl_const *file = in_file(f, bytes, seed % 7);
        g.c = seed % 2 ? file : bytes;
        for (int i = 0; i < 8 && g.p.count < 4000; i++) {
            steps[next_random(&g, TL_COUNT(steps))](&g);
            check_chain(&g);
        }
        close_file(file);
        tl_arena_release(&f->arena);
    }
}

/* ---- passes ---- */

typedef struct block_log {
    int64_t next, sizes[8];
    int n;
} block_log;

static tl_status log_block(void *user, const void *data, int64_t first, int64_t n)
{
    block_log *log = user;
    assert_non_null(data);
    assert_int_equal(first, log->next);
    log->sizes[log->n++] = n;
    log->next += n;
    return TL_OK;
}

static void streams_come_in_blocks(void **state)
{
    fixture *f = *state;
    block_log log = {0};
    const tl_const *c = counting(f, TL_F32, 2, SHAPE(10, 10));
    const tl_const *t = tl_const_transpose(&f->arena, c, (int[]){1, 0});
    assert_int_equal(tl_const_stream(f->cx, c, 160, &f->scratch, log_block, &log), TL_OK);
    assert_int_equal(log.n, 3);
    assert_int_equal(log.sizes[0], 40);
    assert_int_equal(log.sizes[2], 20);
    log = (block_log){0};
    assert_int_equal(tl_const_stream(f->cx, t, 160, &f->scratch, log_block, &log), TL_OK);
    assert_int_equal(log.n, 3);
    assert_int_equal(log.next, 100);
    log = (block_log){0};
    assert_int_equal(
        tl_const_stream(f->cx, counting(f, TL_F32, 1, SHAPE(0)), 64, &f->scratch, log_block, &log),
        TL_OK);
    assert_int_equal(log.n, 0);
}

static void hashes_and_equality(void **state)
{
    fixture *f = *state;
    const tl_const *c = counting(f, TL_F32, 2, SHAPE(200, 300));
    const tl_const *file = in_file(f, c, 1);
    const tl_const *same =
        tl_const_muladd(&f->arena, c, 0, NULL, TL_NEW_ARRAY(&f->arena, double, 200));
    /* stored the other way round, viewed back */
    const tl_const *t = tl_const_transpose(
        &f->arena, in_file(f, tl_const_transpose(&f->arena, c, (int[]){1, 0}), 0), (int[]){1, 0});
    double *add = TL_NEW_ARRAY(&f->arena, double, 200);
    add[199] = 1;
    const tl_const *all[] = {c,
                             file,
                             same,
                             t,
                             tl_const_muladd(&f->arena, c, 0, NULL, add),
                             tl_const_reshape(&f->arena, c, 2, SHAPE(300, 200)),
                             tl_const_cast(&f->arena, c, TL_F64)};
    uint64_t h[TL_COUNT(all)];
    for (size_t i = 0; i < TL_COUNT(all); i++) {
        bool equal;
        assert_int_equal(tl_const_hash(f->cx, all[i], &f->scratch, &h[i]), TL_OK);
        assert_int_equal(tl_const_same(f->cx, c, all[i], &f->scratch, &equal), TL_OK);
        assert_int_equal(equal, i < 4);
        assert_int_equal(h[i] == h[0], i < 4);
        assert_int_equal(tl_const_same(f->cx, all[i], c, &f->scratch, &equal), TL_OK);
        assert_int_equal(equal, i < 4);
    }
    close_file(file);
    close_file(t->x);
}

static void splats_are_known(void **state)
{
    fixture *f = *state;
    double v = 0;
    float one = 1;
    const tl_const *s = tl_const_splat(&f->arena, TL_F32, 2, SHAPE(2, 3), &one);
    assert_true(tl_const_is_splat(s, &v) && v == 1);
    assert_true(tl_const_is_splat(tl_const_transpose(&f->arena, s, (int[]){1, 0}), &v) && v == 1);
    assert_true(tl_const_is_splat(tl_const_cast(&f->arena, s, TL_I8), &v) && v == 1);
    assert_true(
        tl_const_is_splat(tl_const_bytes(&f->arena, TL_I16, 1, SHAPE(3), "\7\0\7\0\7\0"), &v) &&
        v == 7);
    assert_true(tl_const_is_splat(tl_const_bytes(&f->arena, TL_I4, 1, SHAPE(3), "\xff\x1f"), &v) &&
                v == -1);
    assert_true(tl_const_is_splat(tl_const_pad(&f->arena, s, SHAPE(1, 0), SHAPE(0, 0), &one), &v) &&
                v == 1);
    float two = 2;
    assert_false(tl_const_is_splat(tl_const_pad(&f->arena, s, SHAPE(1, 0), SHAPE(0, 0), &two), &v));
    assert_false(tl_const_is_splat(counting(f, TL_F32, 1, SHAPE(3)), &v));
    assert_false(tl_const_is_splat(counting(f, TL_F32, 1, SHAPE(0)), &v));
    const tl_const *all[] = {s, tl_const_splat(&f->arena, TL_F32, 2, SHAPE(2, 3), &two)};
    assert_false(tl_const_is_splat(tl_const_concat(&f->arena, all, 2, 0), &v));
    all[1] = s;
    assert_true(tl_const_is_splat(tl_const_concat(&f->arena, all, 2, 0), &v) && v == 1);
    const tl_const *file = in_file(f, s, 0);
    assert_false(tl_const_is_splat(file, &v)); /* it would have to be read */
    close_file(file);
}

static void large_constants_are_not_loaded(void **state)
{
    fixture *f = *state;
    float one = 1;
    const tl_const *s = tl_const_splat(&f->arena, TL_F32, 1, SHAPE(1 << 20), &one);
    assert_null(tl_const_load_f64(f->cx, s, &f->arena));
    assert_int_equal(tl_context_status(f->cx), TL_OK);
    assert_null(tl_const_load(f->cx, s, &f->arena));
    assert_int_equal(tl_context_status(f->cx), TL_BUG);
}

/* A large transposed file: all pieces, bounded memory. */
static tl_status check_transposed(void *user, const void *data, int64_t first, int64_t n)
{
    const int64_t *shape = user; /* of the stored matrix */
    const float *v = data;
    for (int64_t i = 0; i < n; i++) {
        int64_t row = (first + i) % shape[0], column = (first + i) / shape[0];
        if (v[i] != (float)((row * shape[1] + column) % 65536))
            fail_msg("element %lld", (long long)(first + i));
    }
    return TL_OK;
}

static void large_transpose(void **state)
{
    fixture *f = *state;
    int64_t shape[] = {1500, 3000};
    float *data = TL_NEW_ARRAY(&f->arena, float, shape[0] * shape[1]);
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        data[i] = (float)(i % 65536);
    tl_file *file;
    assert_int_equal(
        tl_file_open_memory(f->cx, "w", data, (size_t)(shape[0] * shape[1]) * 4, &file), TL_OK);
    const tl_const *c = tl_const_file(&f->arena, TL_F32, 2, shape, file, 0);
    const tl_const *t = tl_const_transpose(&f->arena, c, (int[]){1, 0});
    tl_arena small;
    tl_arena_init(&small, f->cx);
    assert_int_equal(tl_const_stream(f->cx, t, 1 << 16, &small, check_transposed, shape), TL_OK);
    tl_arena_release(&small);
    tl_file_unref(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(leaves),
        TEST(a_file_is_read_by_range),
        TEST(packed_types),
        TEST(views),
        TEST(views_collapse),
        TEST(transposes_pass_merges),
        TEST(views_pass_maps),
        TEST(joins),
        TEST(casts),
        TEST(muladds_fuse),
        TEST(quantisation),
        TEST(chains),
        TEST(streams_come_in_blocks),
        TEST(hashes_and_equality),
        TEST(splats_are_known),
        TEST(large_constants_are_not_loaded),
        TEST(large_transpose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
