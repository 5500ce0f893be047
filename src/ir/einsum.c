/* Reading einsum equations. */
#include "ir/einsum.h"

/* Splits at "->"; false: there is none. */
static bool split_equation(tl_str equation, tl_str *operands, tl_str *result)
{
    *operands = equation;
    for (size_t i = 0; i + 1 < equation.n; i++) {
        if (equation.p[i] != '-' || equation.p[i + 1] != '>')
            continue;
        *operands = (tl_str){equation.p, i};
        *result = (tl_str){equation.p + i + 2, equation.n - i - 2};
        return true;
    }
    return false;
}

static tl_str operand_text(tl_str equation, size_t k)
{
    tl_str operands, result;
    split_equation(equation, &operands, &result);
    for (size_t from = 0, i = 0; i <= operands.n; i++) {
        if (i < operands.n && operands.p[i] != ',')
            continue;
        if (k-- == 0)
            return (tl_str){operands.p + from, i - from};
        from = i + 1;
    }
    return (tl_str){0};
}

size_t tl_einsum_n_operands(tl_str equation)
{
    tl_str operands, result;
    size_t n = 1;
    split_equation(equation, &operands, &result);
    for (size_t i = 0; i < operands.n; i++)
        n += operands.p[i] == ',';
    return n;
}

static int letter_label(char c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' : c >= 'A' && c <= 'Z' ? c - 'A' + 26 : -1;
}

static bool push_label(tl_einsum_term *term, int label)
{
    if (term->rank == TL_MAX_RANK)
        return false;
    term->label[term->rank++] = (unsigned char)label;
    return true;
}

/* rank: of the operand; -1: of the result, whose ellipsis has n_dots axes. */
static bool read_term_labels(tl_str text, int rank, int n_dots, tl_einsum_term *out)
{
    int n_letters = 0, n_ellipses = 0;
    out->rank = 0;
    for (size_t i = 0; i < text.n; i++)
        n_letters += letter_label(text.p[i]) >= 0;
    if (rank >= 0)
        n_dots = rank - n_letters;
    for (size_t i = 0; i < text.n; i++) {
        int label = letter_label(text.p[i]);
        if (text.p[i] == ' ')
            continue;
        if (label >= 0) {
            if (!push_label(out, label))
                return false;
            continue;
        }
        if (text.n - i < 3 || text.p[i] != '.' || text.p[i + 1] != '.' || text.p[i + 2] != '.' ||
            n_ellipses++ > 0)
            return false;
        i += 2;
        for (int k = n_dots; k > 0; k--)
            if (!push_label(out, TL_EINSUM_LABELS - k))
                return false;
    }
    return rank < 0 || out->rank == rank;
}

bool tl_einsum_operand(tl_einsum *e, tl_str equation, size_t k, int rank, tl_einsum_term *out)
{
    int n_dots = 0;
    if (k >= tl_einsum_n_operands(equation) ||
        !read_term_labels(operand_text(equation, k), rank, 0, out))
        return false;
    for (int i = 0; i < out->rank; i++) {
        e->uses[out->label[i]]++;
        n_dots += out->label[i] >= TL_EINSUM_LETTERS;
    }
    e->n_dots = TL_MAX(e->n_dots, n_dots);
    return true;
}

bool tl_einsum_result(const tl_einsum *e, tl_str equation, tl_einsum_term *out)
{
    tl_str operands, result;
    if (!split_equation(equation, &operands, &result)) {
        bool fits = read_term_labels((tl_str){"...", 3}, -1, e->n_dots, out);
        for (int k = 0; k < TL_EINSUM_LETTERS; k++) {
            int label = (k + 26) % TL_EINSUM_LETTERS;
            fits = fits && (e->uses[label] != 1 || push_label(out, label));
        }
        return fits;
    }
    if (!read_term_labels(result, -1, e->n_dots, out))
        return false;
    for (int i = 0; i < out->rank; i++) {
        if (e->uses[out->label[i]] == 0)
            return false;
        for (int k = 0; k < i; k++)
            if (out->label[k] == out->label[i])
                return false;
    }
    return true;
}
