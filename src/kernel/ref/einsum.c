/* Einsum as a product of operand 0 with all others. Labels fall into four groups: of the result and
 * both sides (batch), of the result and one side (rows, columns), and summed. */
#include "kernel/ref/contraction.h"

#include "ir/einsum.h"

typedef enum label_group {
    GROUP_BATCH,
    GROUP_ROWS,
    GROUP_COLUMNS,
    GROUP_SUMMED,
    GROUPS
} label_group;

typedef int64_t label_strides[TL_EINSUM_LABELS];

typedef struct einsum_product {
    const tl_call *call;
    bool floats;
    int64_t size[TL_EINSUM_LABELS];
    label_strides *stride; /* of each operand, and last of the result */
    int label[GROUPS][TL_EINSUM_LABELS], n_labels[GROUPS];
    int64_t batch; /* the one at work */
} einsum_product;

size_t tl_ref_scratch_einsum(const tl_call *call)
{
    return tl_ref_scratch_contraction(call) + (call->n_in + 1) * sizeof(label_strides);
}

static int64_t labels_count(const einsum_product *e, label_group group)
{
    int64_t count = 1;
    for (int i = 0; i < e->n_labels[group]; i++)
        count *= e->size[e->label[group][i]];
    return count;
}

/* Where index i of a group lies in a tensor. */
static int64_t group_at(const einsum_product *e, size_t tensor, label_group group, int64_t i)
{
    int64_t at = 0;
    for (int k = e->n_labels[group] - 1; k >= 0; k--) {
        int label = e->label[group][k];
        at += i % e->size[label] * e->stride[tensor][label];
        i /= e->size[label];
    }
    return at;
}

/* Elements [from, from + n) of the summed group behind `at`, in runs along its last label. */
static void load_labels(const einsum_product *e, size_t tensor, int64_t at, int64_t from, int64_t n,
                        double *out)
{
    int n_summed = e->n_labels[GROUP_SUMMED];
    int last = n_summed ? e->label[GROUP_SUMMED][n_summed - 1] : 0;
    int64_t size = n_summed ? e->size[last] : 1;
    for (int64_t done = 0, run; done < n; done += run) {
        run = TL_MIN(n - done, size - (from + done) % size);
        tl_ref_load(&e->call->in[tensor], e->floats,
                    at + group_at(e, tensor, GROUP_SUMMED, from + done),
                    n_summed ? e->stride[tensor][last] : 0, run, out + done);
    }
}

static bool load_first(const void *user, int64_t row, int64_t from, int64_t n, void *out)
{
    const einsum_product *e = user;
    load_labels(e, 0, group_at(e, 0, GROUP_BATCH, e->batch) + group_at(e, 0, GROUP_ROWS, row), from,
                n, out);
    return true;
}

/* The product of the other operands; of none: ones. */
static bool load_others(const void *user, int64_t column, int64_t from, int64_t n, void *out)
{
    const einsum_product *e = user;
    double factor[TL_REF_RUN], *product = out;
    uint64_t *whole = out;
    int64_t ones[2] = {1, 1};
    tl_tensor one = {.dtype = TL_I64, .data = ones};
    TL_ASSERT(n <= TL_REF_RUN);
    tl_ref_load(&one, e->floats, 0, 0, n, out);
    for (size_t k = 1; k < e->call->n_in; k++) {
        const uint64_t *times = (const void *)factor;
        int64_t at = group_at(e, k, GROUP_BATCH, e->batch) + group_at(e, k, GROUP_COLUMNS, column);
        load_labels(e, k, at, from, n, factor);
        for (int64_t i = 0; i < n; i++) {
            if (e->floats)
                product[i] *= factor[i];
            else
                whole[i] *= times[i];
        }
    }
    return true;
}

static void store_labels(const void *user, int64_t i, int64_t j, int64_t n, void *x)
{
    const einsum_product *e = user;
    size_t out = e->call->n_in;
    double *f = x;
    int64_t at = group_at(e, out, GROUP_BATCH, e->batch) + group_at(e, out, GROUP_ROWS, i);
    for (int64_t k = 0; k < n; k++)
        tl_ref_store(&e->call->out[0], e->floats, at + group_at(e, out, GROUP_COLUMNS, j + k), 1,
                     f + k);
}

/* Sizes of the labels of a term, and its strides: an axis of size 1 repeats, a label that occurs
 * twice walks the diagonal. */
static bool add_term(einsum_product *e, size_t k, const tl_tensor *t, const tl_einsum_term *term)
{
    int64_t stride[TL_MAX_RANK];
    tl_ref_strides(t->rank, t->shape, stride);
    for (int i = 0; i < t->rank; i++) {
        int64_t *size = &e->size[term->label[i]];
        if (*size == -1 || *size == 1)
            *size = t->shape[i];
        else if (t->shape[i] != 1 && t->shape[i] != *size)
            return false;
        e->stride[k][term->label[i]] += t->shape[i] == 1 ? 0 : stride[i];
    }
    return true;
}

static tl_status read_terms(tl_call *call, einsum_product *e, bool (*has)[TL_EINSUM_LABELS])
{
    tl_str equation = ((const tl_einsum_attrs *)call->attrs)->equation;
    tl_einsum parsed = {0};
    tl_einsum_term term;
    if (tl_einsum_n_operands(equation) != call->n_in)
        return tl_ref_fail(call, "the equation has another number of operands");
    for (size_t k = 0; k < call->n_in; k++) {
        const tl_tensor *t = &call->in[k];
        if (!tl_einsum_operand(&parsed, equation, k, t->rank, &term) || !add_term(e, k, t, &term))
            return tl_ref_fail(call, "the equation does not fit an operand");
        for (int i = 0; i < term.rank; i++)
            has[k > 0][term.label[i]] = true;
    }
    const tl_tensor *out = &call->out[0];
    if (!tl_einsum_result(&parsed, equation, &term) || term.rank != out->rank ||
        !add_term(e, call->n_in, out, &term))
        return tl_ref_fail(call, "the equation does not fit the result");
    for (int i = 0; i < term.rank; i++) {
        has[2][term.label[i]] = true;
        if (out->shape[i] != e->size[term.label[i]])
            return tl_ref_fail(call, "the equation does not fit the result");
    }
    return TL_OK;
}

tl_status tl_ref_einsum(tl_call *call)
{
    bool has[3][TL_EINSUM_LABELS] = {{false}}; /* in operand 0, in the others, in the result */
    einsum_product e = {.call = call, .floats = tl_dtype_is_float(call->out[0].dtype)};
    char *scratch = call->scratch;
    e.stride = (void *)(scratch + tl_ref_scratch_contraction(call));
    TRY(tl_ref_plain(call));
    for (int label = 0; label < TL_EINSUM_LABELS; label++) {
        e.size[label] = -1;
        for (size_t k = 0; k <= call->n_in; k++)
            e.stride[k][label] = 0;
    }
    TRY(read_terms(call, &e, has));
    for (int label = 0; label < TL_EINSUM_LABELS; label++) {
        label_group group = !has[2][label]   ? GROUP_SUMMED
                            : !has[1][label] ? GROUP_ROWS
                            : !has[0][label] ? GROUP_COLUMNS
                                             : GROUP_BATCH;
        if (e.size[label] >= 0)
            e.label[group][e.n_labels[group]++] = label;
    }
    tl_ref_contraction p = {.m = labels_count(&e, GROUP_ROWS),
                            .n = labels_count(&e, GROUP_COLUMNS),
                            .k = labels_count(&e, GROUP_SUMMED),
                            .floats = e.floats,
                            .left = load_first,
                            .right = load_others,
                            .store = store_labels,
                            .user = &e};
    for (int64_t n_batch = labels_count(&e, GROUP_BATCH); e.batch < n_batch; e.batch++)
        tl_ref_contract(&p, scratch);
    return TL_OK;
}
