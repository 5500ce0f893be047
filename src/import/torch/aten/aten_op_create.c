/* Tensors from nothing but sizes and numbers, and from others by type. */
#include "base/math.h"
#include "import/torch/aten/aten_op.h"

/* ---- filled ---- */

/* Element type of a filled tensor: as said, or that of the number. */
static tl_dtype type_of_fill(aten_call *c, size_t dtype, size_t number)
{
    tl_dtype type = TL_F32;
    const aten_arg *arg = &c->arg[number];
    if (aten_dtype(c, dtype, &type))
        return type;
    return arg->kind == ATEN_INT || arg->kind == ATEN_BOOL || arg->kind == ATEN_NUMBER
               ? aten_common_type(c, &number, 1)
               : TL_F32;
}

static void return_filled(aten_call *c, tl_value *element, const tl_dim *const *dims, size_t rank)
{
    if (rank > TL_MAX_RANK)
        aten_refuse_as(c, TL_U005, "rank %zu, expected at most %d", rank, TL_MAX_RANK);
    else
        aten_return(c, 0, tl_build_broadcast_to(c->b, element, dims, (int)rank));
}

/* (size, fill_value, dtype) */
void aten_op_full(aten_call *c)
{
    size_t n;
    const tl_dim *const *dims = aten_dim_list(c, 0, &n);
    return_filled(c, aten_operand(c, 1, type_of_fill(c, 2, 1)), dims, n);
}

static void filled_with(aten_call *c, size_t dtype, tl_dtype otherwise, double value, size_t sizes)
{
    size_t n;
    const tl_dim *const *dims = aten_dim_list(c, sizes, &n);
    (void)aten_dtype(c, dtype, &otherwise);
    return_filled(c, tl_build_scalar(c->model, otherwise, value), dims, n);
}

/* (size, dtype): zeros, empty */
void aten_op_zeros(aten_call *c)
{
    filled_with(c, 1, TL_F32, 0, 0);
}

void aten_op_ones(aten_call *c)
{
    filled_with(c, 1, TL_F32, 1, 0);
}

/* empty_strided(size, stride, dtype), empty_permuted(size, order, dtype) */
void aten_op_empty_strided(aten_call *c)
{
    filled_with(c, 2, TL_F32, 0, 0);
}

/* (self, size, dtype) */
void aten_op_new_zeros(aten_call *c)
{
    filled_with(c, 2, aten_value(c, 0)->fact.type.dtype, 0, 1);
}

void aten_op_new_ones(aten_call *c)
{
    filled_with(c, 2, aten_value(c, 0)->fact.type.dtype, 1, 1);
}

/* (self, size, fill_value, dtype) */
void aten_op_new_full(aten_call *c)
{
    size_t n;
    tl_dtype type = aten_value(c, 0)->fact.type.dtype;
    const tl_dim *const *dims = aten_dim_list(c, 1, &n);
    (void)aten_dtype(c, 3, &type);
    return_filled(c, aten_operand(c, 2, type), dims, n);
}

static void like_with(aten_call *c, size_t dtype, double value)
{
    const tl_type *type = tl_type_of(aten_value(c, 0));
    tl_dtype is = type->dtype;
    (void)aten_dtype(c, dtype, &is);
    return_filled(c, tl_build_scalar(c->model, is, value), type->dims, (size_t)type->rank);
}

/* (self, dtype) */
void aten_op_zeros_like(aten_call *c)
{
    like_with(c, 1, 0);
}

void aten_op_ones_like(aten_call *c)
{
    like_with(c, 1, 1);
}

/* (self, fill_value, dtype) */
void aten_op_full_like(aten_call *c)
{
    const tl_type *type = tl_type_of(aten_value(c, 0));
    tl_dtype is = type->dtype;
    (void)aten_dtype(c, 2, &is);
    return_filled(c, aten_operand(c, 1, is), type->dims, (size_t)type->rank);
}

/* fill(self, value), zero(self): in the type and shape of self */
void aten_op_fill(aten_call *c)
{
    const tl_type *type = tl_type_of(aten_value(c, 0));
    tl_value *value = aten_operand(c, 1, type->dtype);
    if (aten_rank(value))
        value = tl_build_reshape(c->b, value, NULL, 0);
    return_filled(c, value, type->dims, (size_t)type->rank);
}

void aten_op_zero(aten_call *c)
{
    like_with(c, c->n_arg, 0);
}

void aten_op_scalar_tensor(aten_call *c)
{
    aten_return(c, 0, aten_operand(c, 0, type_of_fill(c, 1, 0)));
}

/* ---- sequences ---- */

/* start + step i for i in [0, n) */
static tl_value *sequence(aten_call *c, tl_dtype type, double start, double step, int64_t n)
{
    return tl_build_const(c->model, tl_const_iota(c->model->arena, type, n, start, step),
                          TL_STR(""));
}

static bool is_float_number(const aten_arg *arg)
{
    return arg->kind == ATEN_FLOAT ||
           (arg->kind == ATEN_NUMBER && tl_dtype_is_float(arg->v->fact.type.dtype));
}

static bool is_run_time(const aten_arg *arg)
{
    int64_t i;
    return arg->kind == ATEN_NUMBER || (arg->kind == ATEN_INT && !tl_dim_is_const(arg->i, &i));
}

static void arange(aten_call *c, size_t start, size_t end, size_t step, size_t dtype)
{
    const aten_arg zero = {.kind = ATEN_INT, .i = aten_i(c, 0)};
    const aten_arg one = {.kind = ATEN_INT, .i = aten_i(c, 1)};
    const aten_arg *from = start < c->n_arg ? &c->arg[start] : &zero, *to = &c->arg[end];
    const aten_arg *by = step < c->n_arg ? &c->arg[step] : &one;
    bool floats = is_float_number(from) || is_float_number(to) || is_float_number(by);
    tl_dtype type = floats ? TL_F32 : TL_I64, within;
    (void)aten_dtype(c, dtype, &type);
    if (is_run_time(from) || is_run_time(to) || is_run_time(by)) {
        within = floats ? TL_F32 : TL_I64; /* counted in this type */
        tl_value *limits[3];
        const aten_arg *args[] = {from, to, by};
        for (int i = 0; i < 3; i++)
            limits[i] = tl_build_cast(c->b, aten_number_value(c->env, args[i]), within);
        tl_value *v = tl_build(c->b, TL_OP_range, limits, 3, NULL);
        aten_return(c, 0, tl_build_cast(c->b, v, type));
        return;
    }
    double a = start < c->n_arg ? aten_float(c, start, 0) : 0, b = aten_float(c, end, 0);
    double s = step < c->n_arg ? aten_float(c, step, 1) : 1, span = s != 0 ? (b - a) / s : -1;
    if (span < 0 || span > 1e9) {
        aten_malformed(c, "from %g to %g by %g", a, b, s);
        return;
    }
    int64_t n = (int64_t)span;
    n += (double)n < span;
    aten_return(c, 0, sequence(c, type, a, s, n));
}

/* arange(end, dtype) */
void aten_op_arange(aten_call *c)
{
    arange(c, c->n_arg, 0, c->n_arg, 1);
}

/* arange.start(start, end, dtype) */
void aten_op_arange_start(aten_call *c)
{
    arange(c, 0, 1, c->n_arg, 2);
}

/* arange.start_step(start, end, step, dtype) */
void aten_op_arange_step(aten_call *c)
{
    arange(c, 0, 1, 2, 3);
}

/* linspace(start, end, steps, dtype): symmetric, as PyTorch computes it from both ends */
void aten_op_linspace(aten_call *c)
{
    double start = aten_float(c, 0, 0), end = aten_float(c, 1, 0);
    int64_t n = aten_int(c, 2, 1);
    tl_dtype type = TL_F32;
    (void)aten_dtype(c, 3, &type);
    float *v = n >= 0 && n < (1 << 24) ? TL_NEW_ARRAY(c->arena, float, n + 1) : NULL;
    if (!v) {
        aten_malformed(c, "%lld steps", (long long)n);
        return;
    }
    float from = (float)start, to = (float)end, step = n > 1 ? (to - from) / (float)(n - 1) : 0;
    for (int64_t i = 0; i < n; i++)
        v[i] = i < n / 2 ? from + step * (float)i : to - step * (float)(n - i - 1);
    if (n == 1)
        v[0] = from;
    tl_value *x = tl_build_f32s(c->model, v, 1, &n);
    aten_return(c, 0, tl_build_cast(c->b, x, type));
}

/* logspace(start, end, steps, base, dtype): base to the numbers of linspace */
void aten_op_logspace(aten_call *c)
{
    double start = aten_float(c, 0, 0), end = aten_float(c, 1, 0), base = aten_float(c, 3, 10);
    int64_t n = aten_int(c, 2, 1);
    tl_dtype type = TL_F32;
    (void)aten_dtype(c, 4, &type);
    float *v = n >= 0 && n < (1 << 24) ? TL_NEW_ARRAY(c->arena, float, n + 1) : NULL;
    if (!v || base <= 0) {
        aten_refuse(c, "%lld steps of base %g", (long long)n, base);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        double at = n > 1 ? start + (end - start) * (double)i / (double)(n - 1) : start;
        v[i] = (float)tl_exp(at * tl_log(base));
    }
    aten_return(c, 0, tl_build_cast(c->b, tl_build_f32s(c->model, v, 1, &n), type));
}

/* ---- matrices ---- */

/* eye(n, dtype), eye.m(n, m, dtype) */
static void identity_matrix(aten_call *c, int64_t n, int64_t m, size_t dtype)
{
    tl_dtype type = TL_F32;
    (void)aten_dtype(c, dtype, &type);
    if (n < 0 || m < 0 || n * m > (1 << 24)) {
        aten_malformed(c, "%lld x %lld", (long long)n, (long long)m);
        return;
    }
    float *v = TL_NEW_ARRAY(c->arena, float, n *m + 1);
    for (int64_t i = 0; v && i < TL_MIN(n, m); i++)
        v[i * m + i] = 1;
    int64_t shape[2] = {n, m};
    if (v)
        aten_return(c, 0, tl_build_cast(c->b, tl_build_f32s(c->model, v, 2, shape), type));
}

void aten_op_eye(aten_call *c)
{
    int64_t n = aten_int(c, 0, 0);
    identity_matrix(c, n, n, 1);
}

void aten_op_eye_m(aten_call *c)
{
    identity_matrix(c, aten_int(c, 0, 0), aten_int(c, 1, 0), 2);
}

static void triangle(aten_call *c, bool upper)
{
    tl_trilu_attrs attrs = {.upper = upper, .k = aten_int(c, 1, 0)};
    aten_return(c, 0, tl_build1(c->b, TL_OP_trilu, aten_value(c, 0), &attrs));
}

void aten_op_tril(aten_call *c)
{
    triangle(c, false);
}

void aten_op_triu(aten_call *c)
{
    triangle(c, true);
}

/* tril_indices(row, col, offset, dtype), triu_indices */
static void triangle_indices(aten_call *c, bool upper)
{
    int64_t rows = aten_int(c, 0, 0), columns = aten_int(c, 1, 0), offset = aten_int(c, 2, 0),
            n = 0;
    tl_dtype type = TL_I64;
    (void)aten_dtype(c, 3, &type);
    if (rows < 0 || columns < 0 || rows * columns > (1 << 24))
        return;
    int64_t *v = TL_NEW_ARRAY(c->arena, int64_t, 2 * rows * columns + 1);
    int64_t *at = v ? v + rows * columns : NULL;
    for (int64_t i = 0; v && i < rows; i++)
        for (int64_t k = 0; k < columns; k++)
            if (upper ? k - i >= offset : k - i <= offset) {
                v[n] = i;
                at[n++] = k;
            }
    if (!v)
        return;
    memmove(v + n, at, (size_t)n * sizeof(*v));
    int64_t shape[2] = {2, n};
    tl_value *x =
        tl_build_const(c->model, tl_const_bytes(c->model->arena, TL_I64, 2, shape, v), TL_STR(""));
    aten_return(c, 0, tl_build_cast(c->b, x, type));
}

void aten_op_tril_indices(aten_call *c)
{
    triangle_indices(c, false);
}

void aten_op_triu_indices(aten_call *c)
{
    triangle_indices(c, true);
}

/* meshgrid(tensors), meshgrid.indexing(tensors, indexing) */
void aten_op_meshgrid(aten_call *c)
{
    size_t n;
    tl_value **v = aten_values(c, 0, &n);
    bool swapped = tl_str_is(aten_string(c, 1), "xy") && n >= 2;
    const tl_dim *dims[TL_MAX_RANK];
    if (n > TL_MAX_RANK)
        return;
    for (size_t i = 0; i < n; i++)
        dims[i] = aten_product(c, v[i], 0, aten_rank(v[i]));
    if (swapped) {
        const tl_dim *first = dims[0];
        dims[0] = dims[1];
        dims[1] = first;
    }
    tl_value **out = TL_NEW_ARRAY(c->arena, tl_value *, n + 1);
    for (size_t i = 0; out && i < n; i++) {
        const tl_dim *own[TL_MAX_RANK];
        size_t axis = swapped && i < 2 ? 1 - i : i;
        for (size_t k = 0; k < n; k++)
            own[k] = k == axis ? dims[axis] : aten_i(c, 1);
        out[i] =
            tl_build_broadcast_to(c->b, tl_build_reshape(c->b, v[i], own, (int)n), dims, (int)n);
    }
    if (out)
        aten_return_list(c, 0, out, n);
}

/* ---- windows of signal processing ---- */

typedef struct window_form {
    double a, b, c; /* a - b cos + c cos of twice the angle */
    bool triangle;  /* instead */
} window_form;

static double window_at(const window_form *w, double part)
{
    double angle = 6.283185307179586477 * part;
    if (w->triangle)
        return part <= 0.5 ? 2 * part : 2 - 2 * part;
    return w->a - w->b * tl_cos(angle) + w->c * tl_cos(2 * angle);
}

/* (window_length, [periodic,] dtype) */
static void return_window(aten_call *c, const window_form *form, bool periodic, size_t dtype)
{
    int64_t n = aten_int(c, 0, 1);
    tl_dtype type = TL_F32;
    (void)aten_dtype(c, dtype, &type);
    float *v = n > 0 && n < (1 << 24) ? TL_NEW_ARRAY(c->arena, float, n) : NULL;
    double period = (double)(periodic ? n : n - 1);
    for (int64_t i = 0; v && i < n; i++)
        v[i] = n == 1 ? 1 : (float)window_at(form, (double)i / period);
    if (v)
        aten_return(c, 0, tl_build_cast(c->b, tl_build_f32s(c->model, v, 1, &n), type));
}

static const window_form hann = {.a = 0.5, .b = 0.5}, hamming = {.a = 0.54, .b = 0.46},
                         blackman = {.a = 0.42, .b = 0.5, .c = 0.08}, bartlett = {.triangle = true};

/* hann_window(window_length, dtype), .periodic(window_length, periodic, dtype), and the others */
void aten_op_hann_window(aten_call *c)
{
    return_window(c, &hann, true, 1);
}
void aten_op_hann_window_periodic(aten_call *c)
{
    return_window(c, &hann, aten_bool(c, 1, true), 2);
}
void aten_op_hamming_window(aten_call *c)
{
    return_window(c, &hamming, true, 1);
}
void aten_op_hamming_window_periodic(aten_call *c)
{
    return_window(c, &hamming, aten_bool(c, 1, true), 2);
}
void aten_op_blackman_window(aten_call *c)
{
    return_window(c, &blackman, true, 1);
}
void aten_op_blackman_window_periodic(aten_call *c)
{
    return_window(c, &blackman, aten_bool(c, 1, true), 2);
}
void aten_op_bartlett_window(aten_call *c)
{
    return_window(c, &bartlett, true, 1);
}
void aten_op_bartlett_window_periodic(aten_call *c)
{
    return_window(c, &bartlett, aten_bool(c, 1, true), 2);
}

/* ---- conversions ---- */

/* self in another type: itself when it has that type already and no copy is asked for */
static void converted(aten_call *c, size_t dtype, size_t copy)
{
    tl_value *x = aten_value(c, 0);
    tl_dtype type = x->fact.type.dtype;
    (void)aten_dtype(c, dtype, &type);
    bool copies = copy < c->n_arg && aten_bool(c, copy, false);
    if (type == x->fact.type.dtype && !copies)
        aten_op_alias(c);
    else
        aten_return(c, 0, tl_build_cast(c->b, x, type));
}

/* to.dtype(self, dtype, non_blocking, copy) */
void aten_op_to_dtype(aten_call *c)
{
    converted(c, 1, 3);
}

/* to.device(self, device, dtype, non_blocking, copy) */
void aten_op_to_device(aten_call *c)
{
    converted(c, 2, 4);
}

/* to.dtype_layout(self, dtype, layout, device, pin_memory, non_blocking, copy) */
void aten_op_to_dtype_layout(aten_call *c)
{
    converted(c, 1, 6);
}

/* to.other(self, other, non_blocking, copy), type_as(self, other) */
void aten_op_to_other(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    tl_dtype type = aten_value(c, 1)->fact.type.dtype;
    if (type == x->fact.type.dtype && !(c->n_arg > 3 && aten_bool(c, 3, false)))
        aten_op_alias(c);
    else
        aten_return(c, 0, tl_build_cast(c->b, x, type));
}

/* _to_copy(self, dtype): always a copy */
void aten_op_to_copy(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    tl_dtype type = x->fact.type.dtype;
    bool to_complex = c->arg[1].kind == ATEN_DTYPE && c->arg[1].is_complex;
    bool is_complex = aten_handle(c, 0)->is_complex;
    if (to_complex)
        type = c->arg[1].dtype;
    else
        (void)aten_dtype(c, 1, &type);
    x = tl_build_cast(c->b, x, type);
    if (to_complex && !is_complex) { /* [..., 2] */
        int rank = aten_rank(x);
        tl_value *re = aten_with_axis(c, x, rank), *im = aten_times(c, re, 0);
        x = tl_build_concat(c->b, (tl_value *[]){re, im}, 2, rank);
    }
    if (is_complex && !to_complex && !aten_is_none(c, 1))
        aten_refuse(c, "complex numbers as real ones");
    else if (to_complex || is_complex)
        aten_return_complex(c, 0, x);
    else
        aten_return(c, 0, x);
}

/* copy(self, src): src in the type and shape of self */
void aten_op_copy(aten_call *c)
{
    const tl_type *type = tl_type_of(aten_value(c, 0));
    tl_value *x = aten_operand(c, 1, type->dtype);
    aten_return(c, 0, tl_build_broadcast_to(c->b, x, type->dims, type->rank));
}

/* item, _local_scalar_dense: a Python number */
void aten_op_item(aten_call *c)
{
    tl_value *x = aten_value(c, 0);
    if (aten_rank(x))
        x = tl_build_reshape(c->b, x, NULL, 0);
    tl_dtype dtype = x->fact.type.dtype;
    tl_value *known = tl_known_value(&c->env->known, x);
    c->out[0] = (aten_arg){.kind = ATEN_NUMBER, .v = x};
    if (known && tl_dtype_is_float(dtype)) {
        const double *f = tl_const_load_f64(c->cx, known->constant, c->arena);
        c->out[0] = (aten_arg){.kind = ATEN_FLOAT, .f = f ? f[0] : 0};
    } else if (x->fact.shape_value) {
        aten_return_dim(c, 0, x->fact.shape_value[0]);
    } else if (known) {
        const int64_t *i = tl_const_load_i64(c->cx, known->constant, c->arena);
        aten_return_dim(c, 0, aten_i(c, i ? i[0] : 0));
        if (dtype == TL_BOOL)
            c->out[0] = (aten_arg){.kind = ATEN_BOOL, .b = i && i[0]};
    }
}

/* Random numbers have no meaning in a converted model. */
void aten_op_random(aten_call *c)
{
    aten_refuse_as(c, TL_U001, "random numbers; pass them as an input, or fix them before export");
}
