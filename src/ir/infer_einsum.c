/* Inference of einsum: "bij,bjk->bik", "...ij,...jk", repeated labels (diagonals), implicit output.
 */
#include "ir/infer_private.h"

#define LABELS 52 /* a-z, A-Z */

typedef struct einsum_sizes {
    const tl_dim *label[LABELS]; /* NULL: not seen */
    int uses[LABELS];
    const tl_dim *dots[TL_MAX_RANK]; /* axes of the ellipsis, aligned at the right */
    int n_dots;
} einsum_sizes;

static int label_of(char c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1;
}

static bool starts_dots(tl_str term, size_t i)
{
    return i + 3 <= term.n && term.p[i] == '.' && term.p[i + 1] == '.' && term.p[i + 2] == '.';
}

/* Next label at *i (or LABELS for an ellipsis, -1 at the end, -2 on an error). */
static int next_label(tl_str term, size_t *i)
{
    while (*i < term.n && term.p[*i] == ' ')
        ++*i;
    if (*i >= term.n)
        return -1;
    if (starts_dots(term, *i)) {
        *i += 3;
        return LABELS;
    }
    int label = label_of(term.p[(*i)++]);
    return label < 0 ? -2 : label;
}

static tl_status bad_equation(tl_infer *x)
{
    return tl_infer_fail(x, TL_M004, "equation \"%.*s\" is not valid",
                         TL_STR_ARG(TL_INFER_ATTRS(x, einsum)->equation));
}

/* One size for a label or ellipsis axis: 1 gives way, all others agree. Which axis of the result it
 * is is not known here, so nothing can be born. */
static tl_status agree(tl_infer *x, const tl_dim **size, const tl_dim *found)
{
    if (!*size || tl_dim_is(*size, 1))
        *size = found;
    else if (!tl_dim_is(found, 1))
        TRY(tl_infer_unify(x, *size, found, size));
    return TL_OK;
}

/* Labels of one operand against its axes. */
static tl_status read_term(tl_infer *x, tl_str term, size_t operand, einsum_sizes *sizes)
{
    const tl_type *type = tl_infer_type(x, operand);
    int n_labels = 0, axis = 0, label;
    bool dots = false;
    for (size_t i = 0; (label = next_label(term, &i)) != -1;) {
        if (label == -2 || (label == LABELS && dots))
            return bad_equation(x);
        dots |= label == LABELS;
        n_labels += label < LABELS;
    }
    int n_dots = type->rank - n_labels;
    if (n_dots < 0 || (n_dots > 0 && !dots))
        return tl_infer_fail(x, TL_M004, "operand %zu has rank %d, expected %d by the equation",
                             operand, type->rank, n_labels);
    for (size_t i = 0; (label = next_label(term, &i)) != -1;) {
        if (label < LABELS) {
            sizes->uses[label]++;
            TRY(agree(x, &sizes->label[label], type->dims[axis++]));
            continue;
        }
        for (int k = 0; k < n_dots; k++)
            TRY(agree(x, &sizes->dots[TL_MAX_RANK - n_dots + k], type->dims[axis++]));
        sizes->n_dots = TL_MAX(sizes->n_dots, n_dots);
    }
    return TL_OK;
}

static void add_dots(const einsum_sizes *sizes, const tl_dim **dims, int *rank)
{
    for (int k = 0; k < sizes->n_dots && *rank < TL_MAX_RANK; k++)
        dims[(*rank)++] = sizes->dots[TL_MAX_RANK - sizes->n_dots + k];
}

static tl_status output_dims(tl_infer *x, tl_str out, const einsum_sizes *sizes,
                             const tl_dim **dims, int *rank)
{
    bool seen[LABELS + 1] = {false};
    int label;
    for (size_t i = 0; (label = next_label(out, &i)) != -1;) {
        if (label == -2 || seen[label] || *rank >= TL_MAX_RANK ||
            (label < LABELS && !sizes->label[label]))
            return bad_equation(x);
        seen[label] = true;
        if (label == LABELS)
            add_dots(sizes, dims, rank);
        else
            dims[(*rank)++] = sizes->label[label];
    }
    return TL_OK;
}

/* Without "->": the ellipsis, then the labels that occur once, in order of the alphabet (upper case
 * first, as by character code). */
static void implicit_dims(const einsum_sizes *sizes, const tl_dim **dims, int *rank)
{
    add_dots(sizes, dims, rank);
    for (int k = 0; k < LABELS && *rank < TL_MAX_RANK; k++) {
        int label = (k + 26) % LABELS;
        if (sizes->uses[label] == 1)
            dims[(*rank)++] = sizes->label[label];
    }
}

tl_status infer_einsum(tl_infer *x)
{
    tl_str terms = TL_INFER_ATTRS(x, einsum)->equation, out = {0}, term = {0};
    einsum_sizes sizes = {0};
    bool explicit_out = false;
    for (size_t i = 0; i + 1 < terms.n; i++) {
        if (terms.p[i] != '-' || terms.p[i + 1] != '>')
            continue;
        out = (tl_str){terms.p + i + 2, terms.n - i - 2};
        terms.n = i;
        explicit_out = true;
    }
    TRY(tl_infer_need_plain(x));
    for (size_t i = 0; i < x->n_in; i++) {
        if (!tl_str_split(&terms, ',', &term) && !(i == 0 && x->n_in == 1))
            return bad_equation(x);
        TRY(tl_infer_need_number(x, i));
        TRY(tl_infer_need_same_dtype(x, i, 0));
        TRY(read_term(x, term, i, &sizes));
    }
    if (tl_str_split(&terms, ',', &term))
        return bad_equation(x);
    const tl_dim *dims[TL_MAX_RANK];
    int rank = 0;
    if (explicit_out)
        TRY(output_dims(x, out, &sizes, dims, &rank));
    else
        implicit_dims(&sizes, dims, &rank);
    return tl_infer_result(x, 0, tl_infer_type(x, 0)->dtype, rank, dims);
}
