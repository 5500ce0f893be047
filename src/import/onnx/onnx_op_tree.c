/* Handlers: ensembles of trees. All trees of all rows go down together, one level at a time: the nodes at hand are
 * i64[rows, trees], what they ask is looked up in tables, and leaves lead to themselves. */
#include "import/onnx/onnx_op_ml.h"

#define MAX_DEPTH 64

/* Nodes of all trees in one list; leaves have themselves as both children. */
typedef struct forest {
    size_t n, n_trees, n_targets;
    int64_t *feature, *yes, *no, *root;
    double *threshold, *weight; /* weight[n_targets] of every node, 0 where it is no leaf */
    bool *tracks;               /* NaN goes to yes */
    bool any_tracks;
    size_t n_weights, n_leaves;
    bool is_positive; /* no weight is below 0 */
    int mode;         /* index into modes */
    int depth;
} forest;

static const char *const modes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                    "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
static const tl_op compare[] = {TL_OP_less_equal, TL_OP_less,  TL_OP_greater_equal,
                                TL_OP_greater,    TL_OP_equal, TL_OP_not_equal};

static bool new_forest(onnx_call *c, forest *f, size_t n, size_t n_targets)
{
    *f = (forest){.n = n, .n_targets = n_targets, .mode = -1};
    if (n == 0 || n > (1u << 20) || n_targets == 0 || n_targets > (1u << 10)) {
        onnx_refuse(c, "%zu nodes and %zu targets", n, n_targets);
        return false;
    }
    f->feature = TL_NEW_ARRAY(c->arena, int64_t, n);
    f->yes = TL_NEW_ARRAY(c->arena, int64_t, n);
    f->no = TL_NEW_ARRAY(c->arena, int64_t, n);
    f->root = TL_NEW_ARRAY(c->arena, int64_t, n);
    f->threshold = TL_NEW_ARRAY(c->arena, double, n);
    f->weight = TL_NEW_ARRAY(c->arena, double, n *n_targets);
    f->tracks = TL_NEW_ARRAY(c->arena, bool, n);
    return f->feature && f->yes && f->no && f->root && f->threshold && f->weight && f->tracks;
}

/* The longest way down; false (recorded): a cycle, or too long. */
static bool measure_depth(onnx_call *c, forest *f)
{
    bool *at = TL_NEW_ARRAY(c->arena, bool, f->n), *next = TL_NEW_ARRAY(c->arena, bool, f->n);
    if (!at || !next)
        return false;
    for (size_t t = 0; t < f->n_trees; t++)
        at[f->root[t]] = true;
    for (f->depth = 0; f->depth <= MAX_DEPTH; f->depth++) {
        bool inner = false;
        memset(next, 0, f->n * sizeof *next);
        for (size_t i = 0; i < f->n; i++) {
            if (!at[i] || f->yes[i] == (int64_t)i)
                continue;
            inner = true;
            next[f->yes[i]] = next[f->no[i]] = true;
        }
        if (!inner)
            return true;
        bool *swap = at;
        at = next;
        next = swap;
    }
    onnx_refuse(c, "trees of more than %d levels, or a cycle", MAX_DEPTH);
    return false;
}

/* ---- the attributes of TreeEnsembleRegressor and -Classifier ---- */

/* Position of a node by its numbers in the file; -1: none. */
static int64_t find_node(const tl_map *map, int64_t tree, int64_t node)
{
    const int64_t *at = tree < 0 || node < 0 || tree > INT32_MAX || node > INT32_MAX
                            ? NULL
                            : tl_map_find_id(map, (uint64_t)tree << 32 | (uint64_t)node);
    return at ? *at : -1;
}

/* Mode of node i: index, -1 a leaf, -2 recorded. All inner nodes have one. */
static int read_mode(onnx_call *c, forest *f, tl_str word)
{
    if (tl_str_is(word, "LEAF"))
        return -1;
    for (int m = 0; m < (int)TL_COUNT(modes); m++) {
        if (!tl_str_is(word, modes[m]))
            continue;
        if (f->mode >= 0 && f->mode != m) {
            onnx_refuse(c, "nodes of different modes");
            return -2;
        }
        f->mode = m;
        return m;
    }
    onnx_malformed(c, "attribute nodes_modes, value \"%.*s\"", TL_STR_ARG(word));
    return -2;
}

static bool index_nodes(onnx_call *c, const forest *f, const int64_t *trees, const int64_t *nodes,
                        tl_map *map)
{
    int64_t *at = TL_NEW_ARRAY(c->arena, int64_t, f->n);
    tl_map_init(map, c->arena);
    for (size_t i = 0; at && i < f->n; i++) {
        at[i] = (int64_t)i;
        if (trees[i] < 0 || nodes[i] < 0 || trees[i] > INT32_MAX || nodes[i] > INT32_MAX ||
            find_node(map, trees[i], nodes[i]) >= 0) {
            onnx_malformed(
                c, "nodes_treeids and nodes_nodeids: node %zu is given twice or negative", i);
            return false;
        }
        tl_map_put_id(map, (uint64_t)trees[i] << 32 | (uint64_t)nodes[i], &at[i]);
    }
    return at != NULL;
}

static bool link_nodes(onnx_call *c, forest *f, const tl_map *map, const onnx_attribute *mode,
                       const int64_t *trees)
{
    size_t n_yes, n_no, n_feature, n_value, n_tracks;
    const int64_t *yes = onnx_attr_ints(c, "nodes_truenodeids", &n_yes);
    const int64_t *no = onnx_attr_ints(c, "nodes_falsenodeids", &n_no);
    const int64_t *feature = onnx_attr_ints(c, "nodes_featureids", &n_feature);
    const int64_t *tracks = onnx_attr_ints(c, "nodes_missing_value_tracks_true", &n_tracks);
    const double *value = onnx_attr_floats(c, "nodes_values", &n_value);
    bool *child = TL_NEW_ARRAY(c->arena, bool, f->n);
    if (!child)
        return false;
    if (n_yes != f->n || n_no != f->n || n_feature != f->n || n_value != f->n) {
        onnx_malformed(c, "the lists of nodes have different lengths");
        return false;
    }
    for (size_t i = 0; i < f->n; i++) {
        int m = read_mode(c, f, mode->strings.v[i]);
        if (m < -1)
            return false;
        f->yes[i] = m < 0 ? (int64_t)i : find_node(map, trees[i], yes[i]);
        f->no[i] = m < 0 ? (int64_t)i : find_node(map, trees[i], no[i]);
        f->feature[i] = m < 0 ? 0 : feature[i];
        f->threshold[i] = value[i];
        f->tracks[i] = m >= 0 && tracks && i < n_tracks && tracks[i];
        f->any_tracks |= f->tracks[i];
        if (f->yes[i] < 0 || f->no[i] < 0 || f->feature[i] < 0) {
            onnx_malformed(c, "node %zu leads to one that is not there", i);
            return false;
        }
        f->n_leaves += m < 0;
        if (m >= 0)
            child[f->yes[i]] = child[f->no[i]] = true;
    }
    for (size_t i = 0; i < f->n; i++)
        if (!child[i])
            f->root[f->n_trees++] = (int64_t)i;
    return true;
}

/* Weights of leaves from lists whose names begin with `kind`. */
static bool read_weights(onnx_call *c, forest *f, const tl_map *map, const char *kind)
{
    size_t n[4];
    const int64_t *tree = onnx_attr_ints(c, tl_arena_printf(c->arena, "%s_treeids", kind), &n[0]);
    const int64_t *node = onnx_attr_ints(c, tl_arena_printf(c->arena, "%s_nodeids", kind), &n[1]);
    const int64_t *id = onnx_attr_ints(c, tl_arena_printf(c->arena, "%s_ids", kind), &n[2]);
    const double *weight =
        onnx_attr_floats(c, tl_arena_printf(c->arena, "%s_weights", kind), &n[3]);
    if (n[0] != n[1] || n[0] != n[2] || n[0] != n[3]) {
        onnx_malformed(c, "the lists of weights have different lengths");
        return false;
    }
    f->n_weights = n[0];
    f->is_positive = true;
    for (size_t i = 0; i < n[0]; i++) {
        f->is_positive &= weight[i] >= 0;
        int64_t at = find_node(map, tree[i], node[i]);
        if (at < 0 || id[i] < 0 || (uint64_t)id[i] >= f->n_targets) {
            onnx_malformed(c, "weight %zu belongs to no node or target", i);
            return false;
        }
        f->weight[(size_t)at * f->n_targets + (size_t)id[i]] += weight[i];
    }
    return true;
}

/* The columns of x that are asked for exist. */
static bool fits(onnx_call *c, const forest *f, const tl_value *x)
{
    int64_t columns;
    for (size_t i = 0; i < f->n; i++)
        if (tl_dim_is_const(onnx_size(x, 1), &columns) && f->feature[i] >= columns) {
            onnx_malformed(c, "feature %lld of %lld", (long long)f->feature[i], (long long)columns);
            return false;
        }
    return true;
}

static bool read_forest(onnx_call *c, forest *f, const tl_value *x, const char *kind,
                        size_t n_targets)
{
    size_t n_trees, n_nodes;
    const int64_t *trees = onnx_attr_ints(c, "nodes_treeids", &n_trees);
    const int64_t *nodes = onnx_attr_ints(c, "nodes_nodeids", &n_nodes);
    const onnx_attribute *mode = onnx_find_attr(c, "nodes_modes");
    tl_map map;
    if (onnx_find_attr(c, "nodes_values_as_tensor")) {
        onnx_refuse(c, "thresholds in doubles");
        return false;
    }
    if (!trees || !nodes || !mode || n_trees != n_nodes || mode->strings.n != n_nodes) {
        onnx_malformed(
            c, "nodes_treeids, nodes_nodeids and nodes_modes: expected lists of one length");
        return false;
    }
    return new_forest(c, f, n_nodes, n_targets) && index_nodes(c, f, trees, nodes, &map) &&
           link_nodes(c, f, &map, mode, trees) && read_weights(c, f, &map, kind) &&
           measure_depth(c, f) && fits(c, f, x);
}

/* ---- the attributes of TreeEnsemble (5): inner nodes and leaves in lists of their own ---- */

/* A tensor attribute of n numbers (0: any), *n then; NULL: recorded, or absent where it is optional. */
static const double *tensor_numbers(onnx_call *c, const char *name, size_t *n)
{
    const onnx_attribute *a = onnx_find_attr(c, name);
    tl_value *value = a && a->t ? onnx_tensor_value(c, a->t) : NULL;
    if (!value) {
        onnx_malformed(c, "attribute %s, expected a tensor", name);
        return NULL;
    }
    if (value->poison)
        return NULL;
    size_t found = (size_t)tl_const_count(value->constant);
    if (*n && *n != found) {
        onnx_malformed(c, "attribute %s, expected %zu numbers, found %zu", name, *n, found);
        return NULL;
    }
    *n = found;
    return tl_const_load_f64(c->cx, value->constant, c->arena);
}

/* A list attribute of n integers. NULL: recorded. */
static const int64_t *node_numbers(onnx_call *c, const char *name, size_t n)
{
    size_t found;
    const int64_t *v = onnx_attr_ints(c, name, &found);
    if (v && found == n)
        return v;
    onnx_malformed(c, "attribute %s, expected %zu numbers, found %zu", name, n, found);
    return NULL;
}

/* Where a branch leads: leaves lie behind the inner nodes. -1 (recorded): nowhere. */
static int64_t branch_target(onnx_call *c, const forest *f, size_t n_inner, int64_t id,
                             int64_t leaf)
{
    uint64_t most = leaf ? f->n - n_inner : n_inner;
    if (id >= 0 && (uint64_t)id < most)
        return leaf ? (int64_t)n_inner + id : id;
    onnx_malformed(c, "a branch leads to %s %lld of %llu", leaf ? "leaf" : "node", (long long)id,
                   (unsigned long long)most);
    return -1;
}

static bool read_inner_nodes(onnx_call *c, forest *f, size_t n, const double *mode)
{
    size_t n_tracks, count = n;
    const int64_t *yes = node_numbers(c, "nodes_truenodeids", n);
    const int64_t *no = node_numbers(c, "nodes_falsenodeids", n);
    const int64_t *yes_leaf = node_numbers(c, "nodes_trueleafs", n);
    const int64_t *no_leaf = node_numbers(c, "nodes_falseleafs", n);
    const int64_t *feature = node_numbers(c, "nodes_featureids", n);
    const int64_t *tracks = onnx_attr_ints(c, "nodes_missing_value_tracks_true", &n_tracks);
    const double *split = tensor_numbers(c, "nodes_splits", &count);
    if (!yes || !no || !yes_leaf || !no_leaf || !feature || !split)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!(mode[i] >= 0 && mode[i] < (double)TL_COUNT(modes)) || mode[i] != mode[0]) {
            onnx_refuse(c, "nodes that test membership, or of different modes");
            return false;
        }
        f->yes[i] = branch_target(c, f, n, yes[i], yes_leaf[i]);
        f->no[i] = branch_target(c, f, n, no[i], no_leaf[i]);
        f->feature[i] = feature[i];
        f->threshold[i] = split[i];
        f->tracks[i] = i < n_tracks && tracks[i];
        f->any_tracks |= f->tracks[i];
        if (f->yes[i] < 0 || f->no[i] < 0)
            return false;
        if (f->feature[i] < 0) {
            onnx_malformed(c, "node %zu asks for feature %lld", i, (long long)f->feature[i]);
            return false;
        }
    }
    f->mode = (int)mode[0];
    return true;
}

static bool read_leaves(onnx_call *c, forest *f, size_t n_inner, const double *weight)
{
    const int64_t *target = node_numbers(c, "leaf_targetids", f->n - n_inner);
    f->n_leaves = f->n_weights = f->n - n_inner;
    for (size_t i = n_inner; target && i < f->n; i++) {
        int64_t id = target[i - n_inner];
        f->yes[i] = f->no[i] = (int64_t)i;
        if (id < 0 || (uint64_t)id >= f->n_targets) {
            onnx_malformed(c, "leaf %zu belongs to no target", i - n_inner);
            return false;
        }
        f->weight[i * f->n_targets + (size_t)id] = weight[i - n_inner];
    }
    return target != NULL;
}

static bool read_roots(onnx_call *c, forest *f, size_t n_inner)
{
    const int64_t *root = onnx_attr_ints(c, "tree_roots", &f->n_trees);
    for (size_t t = 0; t < f->n_trees; t++) {
        if (root[t] < 0 || (uint64_t)root[t] >= n_inner || f->n_trees > f->n) {
            onnx_malformed(c, "tree %zu has no root", t);
            return false;
        }
        f->root[t] = root[t];
    }
    return f->n_trees > 0;
}

static bool read_ensemble(onnx_call *c, forest *f, const tl_value *x, size_t n_targets)
{
    size_t n_inner = 0, n_leaves = 0;
    const double *mode = tensor_numbers(c, "nodes_modes", &n_inner);
    const double *weight = mode ? tensor_numbers(c, "leaf_weights", &n_leaves) : NULL;
    return weight && new_forest(c, f, n_inner + n_leaves, n_targets) && n_inner > 0 &&
           read_inner_nodes(c, f, n_inner, mode) && read_leaves(c, f, n_inner, weight) &&
           read_roots(c, f, n_inner) && measure_depth(c, f) && fits(c, f, x);
}

/* ---- going down ---- */

static tl_value *looked_up(onnx_call *c, tl_value *table, tl_value *at)
{
    return tl_build2(c->b, TL_OP_gather, table, at,
                     &(tl_gather_attrs){.axis = 0, .may_be_negative = false});
}

/* The leaf of every row in every tree, i64[rows, trees]. */
static tl_value *find_leaves(onnx_call *c, const forest *f, tl_value *x)
{
    const tl_dim *dims[] = {onnx_size(x, 0), onnx_int(c, (int64_t)f->n_trees)};
    tl_gather_attrs column = {.axis = 1, .may_be_negative = false};
    tl_value *feature = tl_build_i64s(c->model, f->feature, f->n);
    tl_value *yes = tl_build_i64s(c->model, f->yes, f->n),
             *no = tl_build_i64s(c->model, f->no, f->n);
    tl_value *threshold = onnx_float_list(c, f->threshold, f->n);
    double *tracks = TL_NEW_ARRAY(c->arena, double, f->n);
    for (size_t i = 0; tracks && i < f->n; i++)
        tracks[i] = f->tracks[i];
    tl_value *tracking = f->any_tracks && tracks ? onnx_float_list(c, tracks, f->n) : NULL;
    tl_value *at =
        tl_build_broadcast_to(c->b, tl_build_i64s(c->model, f->root, f->n_trees), dims, 2);
    for (int level = 0; level < f->depth; level++) {
        tl_value *v = tl_build2(c->b, TL_OP_gather_elements, x, looked_up(c, feature, at), &column);
        tl_value *is = onnx_build(c, compare[f->mode], v, looked_up(c, threshold, at));
        if (tracking) {
            tl_value *tracked = tl_build_cast(c->b, looked_up(c, tracking, at), TL_BOOL);
            tracked = onnx_build(c, TL_OP_and, tracked, onnx_build_1(c, TL_OP_isnan, v));
            is = onnx_build(c, TL_OP_or, is, tracked);
        }
        tl_value *left = looked_up(c, yes, at), *right = looked_up(c, no, at);
        at = tl_build3(c->b, TL_OP_where, is, left, right, NULL);
    }
    return at;
}

/* Weights of the leaves together, [rows, targets], with the base values; which: sum, mean, least, greatest. NULL:
 * recorded. */
static tl_value *scores_by(onnx_call *c, const forest *f, tl_value *x, int which)
{
    static const tl_op ops[] = {TL_OP_reduce_sum, TL_OP_reduce_mean, TL_OP_reduce_min,
                                TL_OP_reduce_max};
    size_t n_base;
    const double *base = onnx_attr_floats(c, "base_values", &n_base);
    const int64_t trees = 1;
    if (which > 1 && f->n_weights != f->n_leaves * f->n_targets) {
        onnx_refuse(c, "the least or greatest of weights where some leaves have none");
        return NULL;
    }
    if (base && n_base != f->n_targets) {
        onnx_malformed(c, "base_values: expected %zu numbers, found %zu", f->n_targets, n_base);
        return NULL;
    }
    tl_value *weights = onnx_float_table(c, f->weight, f->n, f->n_targets);
    tl_value *y = looked_up(c, weights, find_leaves(c, f, x));
    y = tl_build_reduce(c->b, ops[which], y, &trees, 1, false);
    return base ? onnx_build(c, TL_OP_add, y, onnx_float_list(c, base, n_base)) : y;
}

static tl_value *scores_of(onnx_call *c, const forest *f, tl_value *x)
{
    static const char *const words[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    int which = onnx_choice(c, "aggregate_function", "SUM", words, TL_COUNT(words));
    return which < 0 ? NULL : scores_by(c, f, x, which);
}

void onnx_import_tree_ensemble(onnx_call *c)
{
    static const int order[] = {1, 0, 2,
                                3}; /* the numbers of the standard: mean, sum, least, greatest */
    int64_t n = onnx_attr_i(c, "n_targets", 1), which = onnx_attr_i(c, "aggregate_function", 1);
    int64_t transform = onnx_attr_i(c, "post_transform", 0);
    tl_value *x = onnx_need_features(c);
    forest f;
    if (!x || !read_ensemble(c, &f, x, n > 0 ? (size_t)n : 0))
        return;
    if (which < 0 || which > 3) {
        onnx_malformed(c, "attribute aggregate_function, value %lld", (long long)which);
        return;
    }
    if (transform) {
        onnx_refuse(
            c,
            "attribute post_transform, value %lld: in the standard 1 is softmax and 2 logistic, in "
            "onnxruntime the other way; put the function behind the node",
            (long long)transform);
        return;
    }
    tl_where where = tl_origin_where(c->model, c->b->origin);
    if (tl_type_of(c->in[0])->dtype == TL_F64)
        tl_warn(c->cx, TL_W002, &where, "f64 is computed in f32");
    tl_value *y = scores_by(c, &f, x, order[which]);
    if (y)
        c->out[0] = tl_build_cast(c->b, y, tl_type_of(c->in[0])->dtype);
}

void onnx_import_tree_regressor(onnx_call *c)
{
    int64_t n = onnx_attr_i(c, "n_targets", 1);
    tl_value *x = onnx_need_features(c);
    forest f;
    if (!x || !read_forest(c, &f, x, "target", n > 0 ? (size_t)n : 0))
        return;
    tl_value *y = scores_of(c, &f, x);
    if (y)
        c->out[0] = onnx_post_transform(c, y);
}

/* Two classes may have weights for one alone, *id; its score s then decides, and becomes a pair. */
static bool has_one_score(onnx_call *c, size_t n_labels, int64_t *id)
{
    size_t n;
    const int64_t *ids = onnx_attr_ints(c, "class_ids", &n);
    for (size_t i = 1; i < n; i++)
        if (ids[i] != ids[0])
            return false;
    *id = n ? ids[0] : 0;
    return n_labels == 2 && n > 0;
}

/* The second label where s is above ½ (weights without sign) or 0. Scores: 1 - σ(s) and σ(s) when they are to be
 * logistic, else 1 - s and s, or (weights with signs) -s and s, whatever else is asked for. */
static void classify_by_one_score(onnx_call *c, const forest *f, tl_value *s, const int64_t *labels)
{
    bool logistic = tl_str_is(onnx_attr_s(c, "post_transform", "NONE"), "LOGISTIC");
    tl_value *is =
        onnx_build(c, TL_OP_greater, s, onnx_scalar_like(c, s, f->is_positive ? 0.5 : 0));
    const tl_dim *rows = onnx_size(s, 0);
    tl_value *yes = tl_build_scalar(c->model, TL_I64, (double)labels[1]),
             *no = tl_build_scalar(c->model, TL_I64, (double)labels[0]), *pair[2];
    onnx_set_out(c, 0,
                 tl_build3(c->b, TL_OP_where, tl_build_reshape(c->b, is, &rows, 1), yes, no, NULL));
    pair[1] = logistic ? onnx_build_1(c, TL_OP_sigmoid, s) : s;
    pair[0] = logistic || f->is_positive
                  ? onnx_build(c, TL_OP_sub, onnx_scalar_like(c, s, 1), pair[1])
                  : onnx_build_1(c, TL_OP_neg, s);
    onnx_set_out(c, 1, tl_build_concat(c->b, pair, 2, 1));
}

void onnx_import_tree_classifier(onnx_call *c)
{
    size_t n, n_base;
    int64_t id;
    tl_value *x = onnx_need_features(c), *y;
    const int64_t *labels =
        x ? onnx_class_labels(c, "classlabels_int64s", "classlabels_strings", &n) : NULL;
    forest f;
    if (!labels || !read_forest(c, &f, x, "class", n))
        return;
    bool one = has_one_score(c, n, &id);
    (void)onnx_attr_floats(c, "base_values", &n_base);
    if (one && n_base) {
        onnx_refuse(c, "base values where one of two classes has weights");
        return;
    }
    if (!(y = scores_of(c, &f, x)) || y->poison)
        return;
    if (one) {
        classify_by_one_score(c, &f, onnx_part(c, y, 1, onnx_int(c, id), onnx_int(c, 1)), labels);
        return;
    }
    onnx_set_out(c, 0, onnx_best_label(c, y, labels, n));
    onnx_set_out(c, 1, onnx_post_transform(c, y));
}
