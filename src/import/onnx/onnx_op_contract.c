/* Handlers: products of matrices and sums over named indices. */
#include "import/onnx/onnx_op.h"

/* x with an axis of size 1 at `axis` of the result. */
static tl_value *with_axis(onnx_call *c, tl_value *x, int axis)
{
    const tl_dim *dims[2];
    dims[axis] = onnx_int(c, 1);
    dims[1 - axis] = onnx_size(x, 0);
    return tl_build_reshape(c->b, x, dims, 2);
}

/* y without its axes at rank - 1 and rank - 2 where a vector had none. */
static tl_value *without_axes(onnx_call *c, tl_value *y, bool row, bool column)
{
    const tl_dim *dims[TL_MAX_RANK];
    int rank = onnx_rank(y), n = 0;
    for (int i = 0; i < rank; i++)
        if (!(row && i == rank - 2) && !(column && i == rank - 1))
            dims[n++] = onnx_size(y, i);
    return tl_build_reshape(c->b, y, dims, n);
}

/* numpy's rule: a vector on the left is a row, on the right a column, and leaves no axis behind. */
tl_value *onnx_build_matmul(onnx_call *c, tl_value *x, tl_value *y)
{
    bool row = onnx_rank(x) == 1, column = onnx_rank(y) == 1;
    x = row ? with_axis(c, x, 0) : x;
    y = column ? with_axis(c, y, 1) : y;
    tl_value *product = onnx_build(c, TL_OP_matmul, x, y);
    return row || column ? without_axes(c, product, row, column) : product;
}

void onnx_import_matmul(onnx_call *c)
{
    tl_value *x = onnx_need_rank(c, 0, 1, TL_MAX_RANK), *y = onnx_need_rank(c, 1, 1, TL_MAX_RANK);
    if (x && y)
        c->out[0] = onnx_build_matmul(c, x, y);
}

static tl_value *scaled(onnx_call *c, tl_value *x, double factor)
{
    return factor == 1 ? x : onnx_build(c, TL_OP_mul, x, onnx_scalar_like(c, x, factor));
}

/* alpha A B + beta C */
void onnx_import_gemm(onnx_call *c)
{
    static const int swap[] = {1, 0};
    tl_value *a = onnx_need_rank(c, 0, 2, 2), *b = onnx_need_rank(c, 1, 2, 2);
    tl_value *bias = onnx_in(c, 2);
    double alpha = onnx_attr_f(c, "alpha", 1), beta = onnx_attr_f(c, "beta", 1);
    if (!a || !b)
        return;
    if (onnx_attr_i(c, "transA", 0))
        a = tl_build_transpose(c->b, a, swap);
    if (onnx_attr_i(c, "transB", 0))
        b = onnx_restored(c, tl_build_transpose(c->b, onnx_stored(b), swap));
    tl_value *y = scaled(c, onnx_build(c, TL_OP_matmul, a, b), alpha);
    if (bias && beta != 0)
        y = onnx_build(c, TL_OP_add, y, scaled(c, bias, beta));
    c->out[0] = y;
}

/* ---- einsum ---- */

static bool is_index(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
}

/* Removes the ellipsis from a term; false when something is left that is no letter. */
static bool check_term(tl_str term, int *n_letters, bool *ellipsis)
{
    *n_letters = 0;
    *ellipsis = false;
    for (size_t i = 0; i < term.n; i++) {
        if (term.n - i >= 3 && term.p[i] == '.' && term.p[i + 1] == '.' && term.p[i + 2] == '.' &&
            !*ellipsis) {
            *ellipsis = true;
            i += 2;
        } else if (is_index(term.p[i])) {
            ++*n_letters;
        } else {
            return false;
        }
    }
    return true;
}

/* The terms of the operands, in ranks that fit. False: recorded. */
static bool check_terms(onnx_call *c, tl_str terms, bool *ellipsis)
{
    tl_str term;
    size_t n = 0;
    bool good = true;
    *ellipsis = false;
    for (; tl_str_split(&terms, ',', &term); n++) {
        int letters;
        bool dots;
        good = n < c->n_in && check_term(term, &letters, &dots);
        if (!good)
            break;
        tl_value *x = onnx_need(c, n);
        if (!x)
            return false;
        if (dots ? onnx_rank(x) < letters : onnx_rank(x) != letters) {
            onnx_malformed(c, "attribute equation: term \"%.*s\" for an input of rank %d",
                           TL_STR_ARG(term), onnx_rank(x));
            return false;
        }
        *ellipsis |= dots;
    }
    if (good && n == c->n_in)
        return true;
    onnx_malformed(c, "attribute equation: expected %zu terms of letters", c->n_in);
    return false;
}

/* Without "->" the result has the ellipsis, then the letters that stand once, in alphabetical
 * order. */
static void add_implicit_result(tl_text *text, tl_str terms, bool ellipsis)
{
    int count[128] = {0};
    for (size_t i = 0; i < terms.n; i++)
        if (is_index(terms.p[i]))
            count[(unsigned char)terms.p[i]]++;
    tl_text_add(text, ellipsis ? "->..." : "->");
    for (int letter = 'A'; letter <= 'z'; letter++)
        if (count[letter] == 1)
            tl_text_add_char(text, (char)letter);
}

void onnx_import_einsum(onnx_call *c)
{
    tl_str given = onnx_attr_s(c, "equation", "");
    tl_text text;
    size_t arrow = SIZE_MAX;
    bool ellipsis, result_ellipsis;
    int letters;
    tl_text_init(&text, c->arena);
    for (size_t i = 0; i < given.n; i++) {
        if (given.p[i] == ' ')
            continue;
        if (given.p[i] == '-' && arrow == SIZE_MAX)
            arrow = text.n;
        tl_text_add_char(&text, given.p[i]);
    }
    if (text.failed)
        return;
    tl_str terms = {tl_text_get(&text), arrow == SIZE_MAX ? text.n : arrow};
    if (!check_terms(c, terms, &ellipsis))
        return;
    if (arrow == SIZE_MAX) {
        add_implicit_result(&text, tl_str_copy(c->arena, terms), ellipsis);
    } else {
        tl_str result = {text.p + arrow, text.n - arrow};
        bool arrowed = tl_str_starts(result, "->");
        if (arrowed)
            result = (tl_str){result.p + 2, result.n - 2};
        if (!arrowed || !check_term(result, &letters, &result_ellipsis)) {
            onnx_malformed(c, "attribute equation \"%.*s\" does not parse", TL_STR_ARG(given));
            return;
        }
    }
    tl_einsum_attrs attrs = {{tl_text_get(&text), text.n}};
    c->out[0] = tl_build(c->b, TL_OP_einsum, c->in, c->n_in, &attrs);
}
