/* Axes that are known when the model runs alone: core ops have their axes as attributes, so there is a branch for
 * every choice, and the handler imports each as if the axes were constant. The branches may differ in sizes, not in
 * rank. */
#include "import/onnx/onnx_control.h"
#include "import/onnx/onnx_op.h"

#define MAX_CHOICES 24

typedef enum choice_kind {
    CHOICE_SET,   /* the order of axes says nothing */
    CHOICE_LIST,  /* other operands are in the same order */
    CHOICE_NEW,   /* axes of the result that are not yet there */
    CHOICE_ONES,  /* axes of size 1 */
    CHOICE_INNER, /* one of all but the last */
} choice_kind;

/* Input that chooses the axes of an operator. */
static const struct {
    const char *op;
    size_t input;
    choice_kind kind;
} choosers[] = {
    {"CumProd", 1, CHOICE_SET},      {"CumSum", 1, CHOICE_SET},
    {"DFT", 2, CHOICE_INNER},        {"Pad", 3, CHOICE_LIST},
    {"ReduceL1", 1, CHOICE_SET},     {"ReduceL2", 1, CHOICE_SET},
    {"ReduceLogSum", 1, CHOICE_SET}, {"ReduceLogSumExp", 1, CHOICE_SET},
    {"ReduceMax", 1, CHOICE_SET},    {"ReduceMean", 1, CHOICE_SET},
    {"ReduceMin", 1, CHOICE_SET},    {"ReduceProd", 1, CHOICE_SET},
    {"ReduceSum", 1, CHOICE_SET},    {"ReduceSumSquare", 1, CHOICE_SET},
    {"Slice", 3, CHOICE_LIST},       {"Squeeze", 1, CHOICE_ONES},
    {"Unsqueeze", 1, CHOICE_NEW},
};

typedef struct choice {
    size_t input;
    choice_kind kind;
    int rank, n; /* n of rank axes */
    bool may[TL_MAX_RANK];
    int64_t axes[MAX_CHOICES][TL_MAX_RANK];
    int64_t code[MAX_CHOICES];
    int count;
    bool scalar; /* the operand has rank 0 */
} choice;

/* ---- which choices there are ---- */

/* One number that tells choices apart: a bit per axis, or the axes as digits. */
static int64_t digit(const choice *k, int place, int64_t axis)
{
    int64_t weight = 1;
    if (k->kind == CHOICE_SET || k->kind == CHOICE_NEW || k->kind == CHOICE_ONES)
        return (int64_t)1 << axis;
    for (int i = 0; i < place; i++)
        weight *= k->rank;
    return axis * weight;
}

static bool is_taken(const int64_t *axes, int n, int64_t axis)
{
    for (int i = 0; i < n; i++)
        if (axes[i] == axis)
            return true;
    return false;
}

/* Fills places `at` and on in every way. False: there are too many. */
static bool enumerate(choice *k, int64_t *axes, int at)
{
    if (at == k->n) {
        if (k->count == MAX_CHOICES)
            return false;
        memcpy(k->axes[k->count], axes, sizeof k->axes[0]);
        for (int i = 0; i < k->n; i++)
            k->code[k->count] += digit(k, i, axes[i]);
        k->count++;
        return true;
    }
    bool ordered = k->kind == CHOICE_LIST;
    for (int64_t axis = ordered || at == 0 ? 0 : axes[at - 1] + 1; axis < k->rank; axis++) {
        if (!k->may[axis] || is_taken(axes, at, axis))
            continue;
        axes[at] = axis;
        if (!enumerate(k, axes, at + 1))
            return false;
    }
    return true;
}

static bool find_choices(const onnx_call *c, choice *k)
{
    int64_t axes[TL_MAX_RANK] = {0};
    const tl_value *x = c->in[0];
    k->rank = onnx_rank(x) + (k->kind == CHOICE_NEW ? k->n : 0);
    if (k->rank > TL_MAX_RANK || k->n > k->rank)
        return false;
    for (int i = 0; i < k->rank; i++) {
        k->may[i] = k->kind != CHOICE_INNER || i < k->rank - 1;
        if (k->kind == CHOICE_ONES)
            k->may[i] = onnx_size(x, i)->range.lo <= 1 && onnx_size(x, i)->range.hi >= 1;
    }
    return enumerate(k, axes, 0) && k->count > 0;
}

/* Whether the node has an operand of axes that is computed; how many, and between what. */
static bool reads_choice(onnx_call *c, choice *k)
{
    size_t n = 1;
    *k = (choice){0};
    for (size_t i = 0; i < TL_COUNT(choosers); i++) {
        if (!tl_str_is(c->node->op, choosers[i].op) || !onnx_is_default_domain(c->node->domain))
            continue;
        k->input = choosers[i].input;
        k->kind = choosers[i].kind;
    }
    const tl_value *axes = k->input ? onnx_in(c, k->input) : NULL;
    if (!axes || axes->poison || !onnx_in(c, 0) || c->in[0]->poison ||
        tl_dtype_is_float(tl_type_of(axes)->dtype) || onnx_contents(c, k->input, &n))
        return false;
    n = 1;
    k->scalar = onnx_rank(axes) == 0;
    if (!k->scalar && !onnx_is_computed_list(c, k->input, &n))
        return false;
    k->n = (int)n;
    return find_choices(c, k);
}

/* ---- building ---- */

/* The code of the axes at run time: digits of axis + (axis < 0 ? rank : 0), summed. */
static tl_value *code_of(onnx_call *c, const choice *k)
{
    static const int64_t over[] = {0};
    tl_value *axes = tl_build_cast(c->b, c->in[k->input], TL_I64);
    const tl_dim *n = onnx_int(c, k->n);
    axes = tl_build_reshape(c->b, axes, &n, 1);
    tl_value *zero = onnx_scalar_like(c, axes, 0), *rank = onnx_scalar_like(c, axes, k->rank);
    tl_value *negative = onnx_build(c, TL_OP_less, axes, zero);
    tl_value *moved = onnx_build(c, TL_OP_add, axes, rank);
    axes = tl_build3(c->b, TL_OP_where, negative, moved, axes, NULL);
    int64_t v[TL_MAX_RANK];
    if (k->kind == CHOICE_LIST || k->kind == CHOICE_INNER) {
        for (int i = 0; i < k->n; i++)
            v[i] = digit(k, i, 1);
        axes = onnx_build(c, TL_OP_mul, axes, tl_build_i64s(c->model, v, (size_t)k->n));
    } else {
        for (int i = 0; i < k->rank; i++)
            v[i] = digit(k, 0, i);
        tl_gather_attrs attrs = {.axis = 0, .may_be_negative = false};
        axes = tl_build2(c->b, TL_OP_gather, tl_build_i64s(c->model, v, (size_t)k->rank), axes,
                         &attrs);
    }
    return tl_build_reduce(c->b, TL_OP_reduce_sum, axes, over, 1, false);
}

/* The node with the axes of choice i. */
static void import_choice(onnx_call *c, const choice *k, int i)
{
    tl_value **in = TL_NEW_ARRAY(c->arena, tl_value *, c->n_in);
    if (!in)
        return;
    memcpy(in, c->in, c->n_in * sizeof *in);
    in[k->input] = k->scalar ? tl_build_scalar(c->model, TL_I64, (double)k->axes[i][0])
                             : tl_build_i64s(c->model, k->axes[i], (size_t)k->n);
    c->in = in;
    c->row->import(c);
}

static void import_from(onnx_call *c, const choice *k, tl_value *code, int i);

/* A graph of choice i, or, rest, of that and those behind it. Its results; NULL or poison: recorded. */
static tl_value **choice_graph(onnx_call *c, const choice *k, tl_value *code, int i, bool rest,
                               const onnx_captures *before, onnx_scope *scope)
{
    onnx_importer *imp = c->importer;
    onnx_call inner = *c;
    inner.in = TL_NEW_ARRAY(c->arena, tl_value *, c->n_in);
    inner.out = TL_NEW_ARRAY(c->arena, tl_value *, c->n_out + 2);
    onnx_scope_enter(imp, scope, tl_graph_new(c->model, TL_STR("")), true);
    if (before)
        onnx_capture_also(imp, scope, before);
    inner.b = &scope->b;
    for (size_t n = 0; inner.in && n < c->n_in; n++)
        inner.in[n] = c->in[n] ? onnx_capture_value(imp, scope, c->in[n]) : NULL;
    if (inner.in && inner.out && rest)
        import_from(&inner, k, onnx_capture_value(imp, scope, code), i);
    else if (inner.in && inner.out)
        import_choice(&inner, k, i);
    onnx_scope_leave(imp, scope);
    for (size_t n = 0; inner.out && n < c->n_out; n++)
        if (!inner.out[n])
            return NULL;
    if (inner.out)
        (void)tl_graph_set_outputs(scope->b.graph, inner.out, c->n_out);
    return inner.out;
}

static void import_from(onnx_call *c, const choice *k, tl_value *code, int i)
{
    if (i == k->count - 1) {
        import_choice(c, k, i);
        return;
    }
    tl_value *number = tl_build_scalar(c->model, TL_I64, (double)k->code[i]);
    tl_value *is_this = onnx_build(c, TL_OP_equal, code, number);
    onnx_scope a, b;
    tl_value **yes = choice_graph(c, k, code, i, false, NULL, &a);
    tl_value **no = choice_graph(c, k, code, i + 1, true, &a.captures, &b);
    onnx_capture_also(c->importer, &a, &b.captures);
    tl_value **operands = onnx_outer_values(c, &b.captures, 1);
    if (!yes || !no || !operands || onnx_has_poison(yes, c->n_out) ||
        onnx_has_poison(no, c->n_out)) {
        onnx_discard_graph(a.b.graph);
        onnx_discard_graph(b.b.graph);
        return;
    }
    operands[0] = is_this;
    tl_node *node = tl_build_node(c->b, TL_OP_if, operands, 1 + b.captures.n, NULL, c->n_out,
                                  (tl_graph *[]){a.b.graph, b.b.graph}, 2);
    for (size_t n = 0; n < c->n_out; n++)
        c->out[n] = node->out[n];
}

bool onnx_import_choices(onnx_call *c)
{
    choice k;
    if (!reads_choice(c, &k) || !onnx_may_nest(c))
        return false;
    import_from(c, &k, k.count > 1 ? code_of(c, &k) : NULL, 0);
    return true;
}
