/* Handlers: support vector machines of ai.onnx.ml. */
#include "import/onnx/onnx_op_ml.h"

typedef enum svm_kernel { SVM_LINEAR, SVM_POLY, SVM_RBF, SVM_SIGMOID } svm_kernel;

typedef struct svm {
    svm_kernel kernel;
    double gamma, coef0, degree;
    size_t n_vectors, n_features;
    const double *vectors; /* [n_vectors, n_features] */
} svm;

/* The kernel and n vectors for it; false: recorded. */
static bool read_svm(onnx_call *c, svm *s, size_t n)
{
    static const char *const words[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    size_t n_params, n_numbers;
    int kernel = onnx_choice(c, "kernel_type", "LINEAR", words, TL_COUNT(words));
    const double *params = onnx_attr_floats(c, "kernel_params", &n_params);
    *s = (svm){.kernel = (svm_kernel)kernel, .n_vectors = n};
    s->vectors = onnx_attr_floats(c, "support_vectors", &n_numbers);
    if (kernel < 0)
        return false;
    if (n == 0 || n > (1u << 20) || !s->vectors || n_numbers % n || (params && n_params < 3)) {
        onnx_malformed(c, "support_vectors and kernel_params do not fit %zu vectors", n);
        return false;
    }
    s->n_features = n_numbers / n;
    s->gamma = params ? params[0] : 0;
    s->coef0 = params ? params[1] : 0;
    s->degree = params ? params[2] : 0;
    return true;
}

static tl_value *scaled(onnx_call *c, tl_value *x, double factor, double add)
{
    x = onnx_build(c, TL_OP_mul, x, onnx_scalar_like(c, x, factor));
    return add == 0 ? x : onnx_build(c, TL_OP_add, x, onnx_scalar_like(c, x, add));
}

/* |x|^2 of rows, [n,1] */
static tl_value *squared_lengths(onnx_call *c, tl_value *x)
{
    const int64_t columns = 1;
    return tl_build_reduce(c->b, TL_OP_reduce_sum, onnx_build_1(c, TL_OP_square, x), &columns, 1,
                           true);
}

/* |x - v|^2 = |x|^2 - 2 x v + |v|^2, which no rounding may make negative */
static tl_value *squared_distances(onnx_call *c, const svm *s, tl_value *x, tl_value *products)
{
    double *lengths = TL_NEW_ARRAY(c->arena, double, s->n_vectors);
    for (size_t i = 0; lengths && i < s->n_vectors; i++)
        for (size_t k = 0; k < s->n_features; k++)
            lengths[i] += s->vectors[i * s->n_features + k] * s->vectors[i * s->n_features + k];
    if (!lengths)
        return products;
    tl_value *table = onnx_float_list(c, lengths, s->n_vectors), *own = squared_lengths(c, x);
    tl_value *d = onnx_build(c, TL_OP_add, scaled(c, products, -2, 0), table);
    return onnx_build_1(c, TL_OP_relu, onnx_build(c, TL_OP_add, d, own));
}

/* The kernel of every row of x with every vector, [n, vectors]. */
static tl_value *kernels(onnx_call *c, const svm *s, tl_value *x)
{
    static const int swap[] = {1, 0};
    tl_value *table = onnx_float_table(c, s->vectors, s->n_vectors, s->n_features);
    tl_value *y = onnx_build(c, TL_OP_matmul, x, tl_build_transpose(c->b, table, swap));
    switch (s->kernel) {
    case SVM_RBF:
        y = scaled(c, squared_distances(c, s, x, y), -s->gamma, 0);
        return onnx_build_1(c, TL_OP_exp, y);
    case SVM_SIGMOID:
        return onnx_build_1(c, TL_OP_tanh, scaled(c, y, s->gamma, s->coef0));
    case SVM_POLY:
        y = scaled(c, y, s->gamma, s->coef0);
        return onnx_build(c, TL_OP_pow, y, onnx_scalar_like(c, y, s->degree));
    default:
        return y;
    }
}

/* kernels coefficients + rho; without vectors the coefficients are those of the features. One class: the side as
 * 1 or -1. */
void onnx_import_svm_regressor(onnx_call *c)
{
    size_t n, n_rho;
    int64_t n_vectors = onnx_attr_i(c, "n_supports", 0);
    const double *w = onnx_attr_floats(c, "coefficients", &n),
                 *rho = onnx_attr_floats(c, "rho", &n_rho);
    tl_value *x = onnx_need_features(c);
    svm s;
    if (!x)
        return;
    if (!tl_str_is(onnx_attr_s(c, "post_transform", "NONE"), "NONE")) {
        onnx_refuse(c, "attribute post_transform");
        return;
    }
    if (!w || n_rho != 1 || (n_vectors && n != (size_t)n_vectors)) {
        onnx_malformed(c, "coefficients and rho do not fit %lld vectors", (long long)n_vectors);
        return;
    }
    if (n_vectors && !read_svm(c, &s, n))
        return;
    tl_value *y = n_vectors ? kernels(c, &s, x) : x;
    y = onnx_build(c, TL_OP_matmul, y, onnx_float_table(c, w, n, 1));
    y = onnx_build(c, TL_OP_add, y, onnx_scalar_like(c, y, rho[0]));
    if (onnx_attr_i(c, "one_class", 0)) {
        tl_value *is = onnx_build(c, TL_OP_greater, y, onnx_scalar_like(c, y, 0));
        tl_value *yes = onnx_scalar_like(c, y, 1), *no = onnx_scalar_like(c, y, -1);
        y = tl_build3(c->b, TL_OP_where, is, yes, no, NULL);
    }
    c->out[0] = y;
}

/* Maps from labels to numbers become the numbers, a column to a label in the order of the attribute. */
void onnx_import_zip_map(onnx_call *c)
{
    tl_value *x = onnx_need(c, 0);
    tl_where where = tl_origin_where(c->model, c->b->origin);
    if (!x)
        return;
    tl_warn(c->cx, TL_N001, &where, "maps become a tensor, one column to a label");
    c->out[0] = x;
}
