/* Handlers: ai.onnx.ml, where the answer is a tensor of numbers. Strings are refused by name. */
#include "import/onnx/onnx_op_ml.h"

const double *onnx_attr_floats(onnx_call *c, const char *name, size_t *n)
{
    const onnx_attribute *a = onnx_find_attr(c, name);
    *n = a ? a->floats.n : 0;
    return *n ? a->floats.v : NULL;
}

tl_value *onnx_float_table(onnx_call *c, const double *v, size_t rows, size_t columns)
{
    int64_t shape[2] = {(int64_t)rows, (int64_t)columns};
    float *narrow = TL_NEW_ARRAY(c->arena, float, rows *columns + 1);
    if (!narrow)
        return tl_build_poison(c->b, 1)->out[0];
    for (size_t i = 0; i < rows * columns; i++)
        narrow[i] = (float)v[i];
    return tl_build_f32s(c->model, narrow, 2, shape);
}

tl_value *onnx_float_list(onnx_call *c, const double *v, size_t n)
{
    return tl_build_reshape_i(c->b, onnx_float_table(c, v, 1, n), (int64_t[]){(int64_t)n}, 1);
}

static tl_value *as_floats(onnx_call *c, size_t i)
{
    tl_value *x = onnx_need_rank(c, i, 1, 2);
    return x ? tl_build_cast(c->b, x, TL_F32) : NULL;
}

tl_value *onnx_need_features(onnx_call *c)
{
    tl_value *x = as_floats(c, 0);
    if (!x || x->poison || onnx_rank(x) == 2)
        return x && x->poison ? NULL : x;
    const tl_dim *row[] = {onnx_int(c, 1), onnx_size(x, 0)};
    return tl_build_reshape(c->b, x, row, 2);
}

tl_value *onnx_post_transform(onnx_call *c, tl_value *scores)
{
    static const char *const words[] = {"NONE", "LOGISTIC", "SOFTMAX"};
    int which = onnx_choice(c, "post_transform", "NONE", words, TL_COUNT(words));
    tl_axis_attrs last = {1};
    if (which == 1)
        return onnx_build_1(c, TL_OP_sigmoid, scores);
    if (which == 2)
        return tl_build1(c->b, TL_OP_softmax, scores, &last);
    return which == 0 ? scores : NULL;
}

const int64_t *onnx_class_labels(onnx_call *c, const char *ints, const char *strings, size_t *n)
{
    const int64_t *labels = onnx_attr_ints(c, ints, n);
    if (labels && *n)
        return labels;
    if (onnx_find_attr(c, strings))
        onnx_refuse_as(c, TL_U004, "labels of element type string");
    else
        onnx_malformed(c, "attribute %s is missing", ints);
    return NULL;
}

tl_value *onnx_best_label(onnx_call *c, tl_value *scores, const int64_t *labels, size_t n)
{
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    tl_value *best = tl_build1(c->b, TL_OP_argmax, scores, &(tl_arg_attrs){.axis = 1});
    return tl_build2(c->b, TL_OP_gather, tl_build_i64s(c->model, labels, n), best, &attrs);
}

/* ---- features ---- */

/* (x - offset) scale */
void onnx_import_scaler(onnx_call *c)
{
    size_t n_offset, n_scale;
    const double *offset = onnx_attr_floats(c, "offset", &n_offset),
                 *scale = onnx_attr_floats(c, "scale", &n_scale);
    tl_value *x = as_floats(c, 0);
    if (!x)
        return;
    if (!offset || !scale) {
        onnx_malformed(c, "attributes offset and scale are missing");
        return;
    }
    x = onnx_build(c, TL_OP_sub, x, onnx_float_list(c, offset, n_offset));
    c->out[0] = onnx_build(c, TL_OP_mul, x, onnx_float_list(c, scale, n_scale));
}

/* Rows divided by their greatest element, the sum of magnitudes or the root of the sum of squares; where that is
 * 0 they stay. */
void onnx_import_normalizer(onnx_call *c)
{
    static const char *const words[] = {"MAX", "L1", "L2"};
    int norm = onnx_choice(c, "norm", "MAX", words, TL_COUNT(words));
    tl_value *x = onnx_need_features(c);
    const int64_t last = 1;
    if (norm < 0 || !x)
        return;
    tl_value *size = norm == 0   ? x
                     : norm == 1 ? onnx_build_1(c, TL_OP_abs, x)
                                 : onnx_build_1(c, TL_OP_square, x);
    size = tl_build_reduce(c->b, norm ? TL_OP_reduce_sum : TL_OP_reduce_max, size, &last, 1, true);
    if (norm == 2)
        size = onnx_build_1(c, TL_OP_sqrt, size);
    tl_value *zero = onnx_build(c, TL_OP_equal, size, onnx_scalar_like(c, x, 0));
    size = tl_build3(c->b, TL_OP_where, zero, onnx_scalar_like(c, x, 1), size, NULL);
    tl_value *y = onnx_build(c, TL_OP_div, x, size);
    c->out[0] = y->poison || onnx_rank(c->in[0]) == 2
                    ? y
                    : tl_build_reshape(c->b, y, tl_type_of(c->in[0])->dims, 1);
}

/* x > threshold as 1 or 0 */
void onnx_import_binarizer(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    if (!x)
        return;
    tl_value *threshold = onnx_scalar_like(c, x, onnx_attr_f(c, "threshold", 0));
    tl_value *above = onnx_build(c, TL_OP_greater, x, threshold);
    c->out[0] = tl_build_cast(c->b, above, tl_type_of(x)->dtype);
}

/* Columns of x at the given indices; a vector counts as one row. */
void onnx_import_feature_extractor(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK), *ids = onnx_need(c, 1);
    if (!x || !ids)
        return;
    const tl_dim *row[] = {onnx_int(c, 1), onnx_size(x, 0)};
    if (onnx_rank(x) == 1)
        x = tl_build_reshape(c->b, x, row, 2);
    const tl_dim *count = tl_type_count(c->dims, tl_type_of(ids));
    tl_gather_attrs attrs = {.axis = onnx_rank(x) - 1, .may_be_negative = false};
    ids = tl_build_reshape(c->b, tl_build_cast(c->b, ids, TL_I64), &count, 1);
    c->out[0] = tl_build2(c->b, TL_OP_gather, x, ids, &attrs);
}

/* Where x is the value to be replaced (NaN: any NaN), the value for its column, or the one for all. */
void onnx_import_imputer(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, 2), *fill;
    size_t n = 0;
    if (!x)
        return;
    bool is_float = tl_dtype_is_float(tl_type_of(x)->dtype);
    double replaced = is_float ? onnx_attr_f(c, "replaced_value_float", 0)
                               : (double)onnx_attr_i(c, "replaced_value_int64", 0);
    const double *floats = onnx_attr_floats(c, "imputed_value_floats", &n);
    const int64_t *ints = is_float ? NULL : onnx_attr_ints(c, "imputed_value_int64s", &n);
    if (is_float ? !floats : !ints) {
        onnx_malformed(c, "no imputed values for %s", tl_dtype_name(tl_type_of(x)->dtype));
        return;
    }
    fill = is_float ? onnx_float_list(c, floats, n) : tl_build_i64s(c->model, ints, n);
    fill = tl_build_cast(c->b, fill, tl_type_of(x)->dtype);
    tl_value *missing = replaced != replaced
                            ? onnx_build_1(c, TL_OP_isnan, x)
                            : onnx_build(c, TL_OP_equal, x, onnx_scalar_like(c, x, replaced));
    c->out[0] = tl_build3(c->b, TL_OP_where, missing, fill, x, NULL);
}

/* All inputs side by side as floats, each cut to as many columns as it is said to have. */
void onnx_import_feature_vectorizer(onnx_call *c)
{
    size_t n = 0;
    const int64_t *widths = onnx_attr_ints(c, "inputdimensions", &n);
    tl_value **parts = TL_NEW_ARRAY(c->arena, tl_value *, c->n_in + 1);
    if (!parts)
        return;
    if (c->n_in == 0 || (widths && n != c->n_in)) {
        onnx_malformed(c, "attribute inputdimensions: expected %zu numbers, found %zu", c->n_in, n);
        return;
    }
    for (size_t i = 0; i < c->n_in; i++) {
        tl_value *x = as_floats(c, i);
        if (!x || x->poison)
            return;
        const tl_dim *row[] = {onnx_int(c, 1), onnx_size(x, 0)};
        parts[i] = onnx_rank(x) == 1 ? tl_build_reshape(c->b, x, row, 2) : x;
        if (widths &&
            tl_dim_equal(c->dims, onnx_size(parts[i], 1), onnx_int(c, widths[i])) != TL_YES) {
            onnx_refuse(c, "input %zu: expected %lld columns as attribute inputdimensions says", i,
                        (long long)widths[i]);
            return;
        }
    }
    c->out[0] = tl_build_concat(c->b, parts, c->n_in, 1);
}

/* 1 where x is the category, 0 elsewhere, along a new last axis */
void onnx_import_one_hot_encoder(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 0, TL_MAX_RANK - 1);
    size_t n = 0;
    const int64_t *categories = x ? onnx_class_labels(c, "cats_int64s", "cats_strings", &n) : NULL;
    if (!categories)
        return;
    if (!onnx_attr_i(c, "zeros", 1)) {
        onnx_refuse(c, "attribute zeros, value 0");
        return;
    }
    const int last = onnx_rank(x);
    x = onnx_unsqueeze(c, tl_build_cast(c->b, x, TL_I64), &last, 1);
    tl_value *is = onnx_build(c, TL_OP_equal, x, tl_build_i64s(c->model, categories, n));
    c->out[0] = tl_build_cast(c->b, is, TL_F32);
}

/* ---- LabelEncoder: the value of the key that x equals, or the default ---- */

/* Keys or values as a constant of rank 1 and their default; NULL: none of numbers. */
static tl_value *label_list(onnx_call *c, const char *ints, const char *floats, size_t *n)
{
    const int64_t *v = onnx_attr_ints(c, ints, n);
    if (v)
        return tl_build_i64s(c->model, v, *n);
    const double *f = onnx_attr_floats(c, floats, n);
    return f ? onnx_float_list(c, f, *n) : NULL;
}

void onnx_import_label_encoder(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 0, TL_MAX_RANK - 1);
    size_t n_keys, n_values;
    tl_value *keys = label_list(c, "keys_int64s", "keys_floats", &n_keys);
    tl_value *values = label_list(c, "values_int64s", "values_floats", &n_values);
    if (!x)
        return;
    if (!keys || !values) {
        onnx_refuse_as(c, TL_U004, "keys or values that are not lists of numbers");
        return;
    }
    if (n_keys != n_values || n_keys == 0 || tl_type_of(keys)->dtype != tl_type_of(x)->dtype) {
        onnx_malformed(c, "expected as many values as keys, and keys of the input's type");
        return;
    }
    bool to_int = tl_type_of(values)->dtype == TL_I64;
    double absent = to_int ? (double)onnx_attr_i(c, "default_int64", -1)
                           : onnx_attr_f(c, "default_float", -0.0);
    const int last = onnx_rank(x);
    const int64_t axis = last;
    tl_value *column = onnx_unsqueeze(c, x, &last, 1);
    tl_value *is = onnx_build(c, TL_OP_equal, column, keys);
    tl_value *known = tl_build_reduce(c->b, TL_OP_reduce_any, is, &axis, 1, false);
    tl_value *first = tl_build1(c->b, TL_OP_argmax, tl_build_cast(c->b, is, TL_I32),
                                &(tl_arg_attrs){.axis = last});
    tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
    tl_value *found = tl_build2(c->b, TL_OP_gather, values, first, &attrs);
    c->out[0] =
        tl_build3(c->b, TL_OP_where, known, found, onnx_scalar_like(c, values, absent), NULL);
}

/* ---- linear models ---- */

/* x coefficients' + intercepts, [n, k]; NULL: recorded. */
static tl_value *linear(onnx_call *c, int64_t k)
{
    static const int swap[] = {1, 0};
    size_t n, n_add;
    int64_t columns;
    const double *w = onnx_attr_floats(c, "coefficients", &n),
                 *add = onnx_attr_floats(c, "intercepts", &n_add);
    tl_value *x = onnx_need_features(c);
    if (!x)
        return NULL;
    if (!w || k < 1 || n % (size_t)k || (add && n_add != (size_t)k) ||
        (tl_dim_is_const(onnx_size(x, 1), &columns) && (uint64_t)columns != n / (size_t)k)) {
        onnx_malformed(c, "coefficients and intercepts do not fit %lld results", (long long)k);
        return NULL;
    }
    tl_value *table = onnx_float_table(c, w, (size_t)k, n / (size_t)k);
    tl_value *y = onnx_build(c, TL_OP_matmul, x, tl_build_transpose(c->b, table, swap));
    return add ? onnx_build(c, TL_OP_add, y, onnx_float_list(c, add, n_add)) : y;
}

void onnx_import_linear_regressor(onnx_call *c)
{
    tl_value *y = linear(c, onnx_attr_i(c, "targets", 1));
    if (y)
        c->out[0] = onnx_post_transform(c, y);
}

/* Labels by the greatest raw score, scores behind their transformation. */
void onnx_import_linear_classifier(onnx_call *c)
{
    size_t n, k;
    const int64_t *labels = onnx_class_labels(c, "classlabels_ints", "classlabels_strings", &n);
    tl_value *scores;
    (void)onnx_attr_floats(c, "intercepts", &k);
    if (!labels)
        return;
    if (k != n) {
        onnx_refuse(c, "%zu scores for %zu classes", k, n);
        return;
    }
    if (!(scores = linear(c, (int64_t)n)))
        return;
    onnx_set_out(c, 0, onnx_best_label(c, scores, labels, n));
    onnx_set_out(c, 1, onnx_post_transform(c, scores));
}
