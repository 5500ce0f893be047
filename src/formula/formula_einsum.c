/* Einsum by pairwise contraction: operands are brought to [batch, free, summed] order, multiplied
 * as matrices, and the result is brought into the order asked for. An ellipsis stands for as many
 * letters as it takes. */
#include "formula/formula_build.h"

#include <string.h>

#define ELLIPSIS 128 /* letters of the ellipsis, from the left: 128 + i */

/* The axes of an operand by letter. */
typedef struct term {
    tl_value *x;
    int n;
    unsigned char letter[TL_MAX_RANK];
} term;

static bool has_letter(const term *t, unsigned char letter)
{
    return memchr(t->letter, letter, (size_t)t->n) != NULL;
}

/* One comma-separated part. rank -1: of the output, where the ellipsis has n_ellipsis letters. */
static bool parse_term(tl_str text, int rank, int *n_ellipsis, term *t)
{
    int letters = 0;
    t->n = 0;
    for (size_t i = 0; i < text.n; i++)
        letters += text.p[i] != ' ' && text.p[i] != '.';
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == ' ')
            continue;
        if (text.p[i] == '.') {
            if (i + 2 >= text.n || text.p[i + 1] != '.' || text.p[i + 2] != '.')
                return false;
            i += 2;
            int n = rank < 0 ? *n_ellipsis : rank - letters;
            if (n < 0 || t->n + n > TL_MAX_RANK)
                return false;
            if (rank >= 0)
                *n_ellipsis = TL_MAX(*n_ellipsis, n);
            for (int k = 0; k < n; k++)
                t->letter[t->n++] = (unsigned char)(ELLIPSIS + k);
            continue;
        }
        if (t->n >= TL_MAX_RANK)
            return false;
        t->letter[t->n++] = (unsigned char)text.p[i];
    }
    return rank < 0 || t->n == rank;
}

/* ---- moving axes ---- */

/* x with its axes in the order of letters; letters that t lacks become axes of size 1. */
static tl_value *arrange(formula *f, const term *t, const unsigned char *letters, int n)
{
    int perm[TL_MAX_RANK], k = 0;
    const tl_dim *dims[TL_MAX_RANK];
    const tl_type *type = tl_type_of(t->x);
    for (int i = 0; i < n; i++) {
        const unsigned char *at = memchr(t->letter, letters[i], (size_t)t->n);
        dims[i] = tl_dim_const(f->model->dims, 1);
        if (at) {
            perm[k] = (int)(at - t->letter);
            dims[i] = type->dims[perm[k++]];
        }
    }
    tl_value *moved = tl_build_transpose(f->b, t->x, perm);
    return k == n ? moved : tl_build_reshape(f->b, moved, dims, n);
}

/* Sums away the letters of t that keep does not name. */
static void sum_away(formula *f, term *t, bool (*keep)(const void *user, unsigned char letter),
                     const void *user)
{
    int64_t axes[TL_MAX_RANK];
    size_t n = 0;
    int kept = 0;
    for (int i = 0; i < t->n; i++) {
        if (keep(user, t->letter[i]))
            t->letter[kept++] = t->letter[i];
        else
            axes[n++] = i;
    }
    if (n)
        t->x = tl_build_reduce(f->b, TL_OP_reduce_sum, t->x, axes, n, false);
    t->n = kept;
}

/* Letters that later operands or the output still need. */
typedef struct needed {
    const term *rest;
    size_t n_rest;
    const term *out;
} needed;

static bool is_needed(const void *user, unsigned char letter)
{
    const needed *n = user;
    for (size_t i = 0; i < n->n_rest; i++)
        if (has_letter(&n->rest[i], letter))
            return true;
    return has_letter(n->out, letter);
}

static const tl_dim *dim_of(const term *t, unsigned char letter)
{
    const unsigned char *at = memchr(t->letter, letter, (size_t)t->n);
    return at ? tl_type_of(t->x)->dims[at - t->letter] : NULL;
}

/* Size of a letter in the product of both: the one that is not 1. */
static const tl_dim *joint_dim(const term *a, const term *b, unsigned char letter)
{
    const tl_dim *x = dim_of(a, letter), *y = dim_of(b, letter);
    if (!x || !y)
        return x ? x : y;
    return tl_dim_is(x, 1) ? y : x;
}

typedef struct letter_list {
    unsigned char v[3 * TL_MAX_RANK];
    int n;
} letter_list;

static const tl_dim *product_of(formula *f, const term *t, const letter_list *l)
{
    const tl_dim *p = tl_dim_const(f->model->dims, 1);
    for (int i = 0; i < l->n; i++)
        p = tl_dim_mul(f->model->dims, p, dim_of(t, l->v[i]));
    return p;
}

/* a and b into one term; letters that nobody needs afterwards are summed. */
static bool contract(formula *f, const term *a, const term *b, const needed *later, term *out)
{
    letter_list batch = {.n = 0}, left = {.n = 0}, right = {.n = 0}, summed = {.n = 0};
    for (int i = 0; i < a->n; i++) {
        unsigned char l = a->letter[i];
        letter_list *to = !has_letter(b, l) ? &left : is_needed(later, l) ? &batch : &summed;
        if (to == &summed && tl_dim_is(dim_of(a, l), 1) != tl_dim_is(dim_of(b, l), 1))
            return false;
        to->v[to->n++] = l;
    }
    for (int i = 0; i < b->n; i++)
        if (!has_letter(a, b->letter[i]))
            right.v[right.n++] = b->letter[i];
    /* [batch..., Π left, Π summed] × [batch..., Π summed, Π right] */
    letter_list order_a = batch, order_b = batch;
    memcpy(order_a.v + order_a.n, left.v, (size_t)left.n);
    memcpy(order_a.v + order_a.n + left.n, summed.v, (size_t)summed.n);
    memcpy(order_b.v + order_b.n, summed.v, (size_t)summed.n);
    memcpy(order_b.v + order_b.n + summed.n, right.v, (size_t)right.n);
    const tl_dim *da[TL_MAX_RANK], *db[TL_MAX_RANK], *dout[TL_MAX_RANK];
    if (batch.n + 2 > TL_MAX_RANK || batch.n + left.n + right.n > TL_MAX_RANK)
        return false;
    for (int i = 0; i < batch.n; i++) {
        da[i] = dim_of(a, batch.v[i]);
        db[i] = dim_of(b, batch.v[i]);
    }
    da[batch.n] = product_of(f, a, &left);
    da[batch.n + 1] = product_of(f, a, &summed);
    db[batch.n] = product_of(f, b, &summed);
    db[batch.n + 1] = product_of(f, b, &right);
    tl_value *x = arrange(f, a, order_a.v, a->n), *y = arrange(f, b, order_b.v, b->n);
    x = tl_build_reshape(f->b, x, da, batch.n + 2);
    y = tl_build_reshape(f->b, y, db, batch.n + 2);
    tl_value *product = fx2(f, TL_OP_matmul, x, y);
    out->n = 0;
    for (int i = 0; i < batch.n; i++) {
        dout[out->n] = joint_dim(a, b, batch.v[i]);
        out->letter[out->n++] = batch.v[i];
    }
    for (int i = 0; i < left.n; i++) {
        dout[out->n] = dim_of(a, left.v[i]);
        out->letter[out->n++] = left.v[i];
    }
    for (int i = 0; i < right.n; i++) {
        dout[out->n] = dim_of(b, right.v[i]);
        out->letter[out->n++] = right.v[i];
    }
    out->x = tl_build_reshape(f->b, product, dout, out->n);
    return true;
}

/* ---- the equation ---- */

static bool repeats_letter(const term *t)
{
    for (int i = 0; i < t->n; i++)
        if (memchr(t->letter + i + 1, t->letter[i], (size_t)(t->n - i - 1)))
            return true;
    return false;
}

/* Without "->" the output has the ellipsis, then every letter that occurs once, in alphabetical
 * order. */
static void implicit_output(const term *terms, size_t n_terms, int n_ellipsis, term *out)
{
    int count[256] = {0};
    for (size_t i = 0; i < n_terms; i++)
        for (int k = 0; k < terms[i].n; k++)
            count[terms[i].letter[k]]++;
    out->n = 0;
    for (int k = 0; k < n_ellipsis; k++)
        out->letter[out->n++] = (unsigned char)(ELLIPSIS + k);
    for (int l = 0; l < ELLIPSIS; l++)
        if (count[l] == 1 && out->n < TL_MAX_RANK)
            out->letter[out->n++] = (unsigned char)l;
}

/* Ellipses of unequal rank align at the right. */
static void align_ellipses(term *terms, size_t n_terms, int n_ellipsis)
{
    for (size_t i = 0; i < n_terms; i++) {
        int own = 0;
        for (int k = 0; k < terms[i].n; k++)
            own += terms[i].letter[k] >= ELLIPSIS;
        for (int k = 0; k < terms[i].n; k++)
            if (terms[i].letter[k] >= ELLIPSIS)
                terms[i].letter[k] = (unsigned char)(terms[i].letter[k] + n_ellipsis - own);
    }
}

static bool parse_equation(formula *f, term *terms, size_t n_terms, term *out)
{
    tl_str text = tl_attrs_of(f->node, einsum)->equation, part, left = text, right = {0};
    int n_ellipsis = 0;
    bool explicit_output = false;
    for (size_t i = 0; i + 1 < text.n; i++)
        if (text.p[i] == '-' && text.p[i + 1] == '>') {
            left = (tl_str){text.p, i};
            right = (tl_str){text.p + i + 2, text.n - i - 2};
            explicit_output = true;
        }
    for (size_t i = 0; i < n_terms; i++) {
        terms[i].x = fx_in(f, i);
        if (!tl_str_split(&left, ',', &part))
            part = (tl_str){0};
        if (!parse_term(part, tl_type_of(terms[i].x)->rank, &n_ellipsis, &terms[i]))
            return false;
    }
    align_ellipses(terms, n_terms, n_ellipsis);
    if (!explicit_output)
        implicit_output(terms, n_terms, n_ellipsis, out);
    return !explicit_output || parse_term(right, -1, &n_ellipsis, out);
}

void formula_einsum(formula *f)
{
    term terms[8], out = {0};
    size_t n = f->node->n_in;
    if (n == 0 || n > TL_COUNT(terms) || !parse_equation(f, terms, n, &out)) {
        fx_refuse(f, "this equation");
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (repeats_letter(&terms[i])) {
            fx_refuse(f, "a letter twice in one operand (a diagonal)");
            return;
        }
    /* letters of one operand alone are summed before anything is multiplied */
    for (size_t i = 0; i < n; i++) {
        term others[8];
        size_t n_others = 0;
        for (size_t k = 0; k < n; k++)
            if (k != i)
                others[n_others++] = terms[k];
        sum_away(f, &terms[i], is_needed, &(needed){others, n_others, &out});
    }
    term sum = terms[0];
    for (size_t i = 1; i < n; i++) {
        term joint;
        if (!contract(f, &sum, &terms[i], &(needed){terms + i + 1, n - i - 1, &out}, &joint)) {
            fx_refuse(f, "operands of these shapes");
            return;
        }
        sum = joint;
    }
    f->out[0] = arrange(f, &sum, out.letter, out.n);
}
