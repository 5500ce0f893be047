/* `if` and `while` nodes. Branches and bodies are built in scopes of their own; what they need of
 * the graphs around is captured, the same in the same order by every child graph of a node. A loop
 * is built again until the plan (which sizes vary, which tensors are written) holds. */
#include "import/torch/aten/aten_control.h"

#define MAX_ATTEMPTS 40
#define MAX_DEPTH    64

static bool refuse_control(aten_env *env, const char *what)
{
    tl_where where = tl_origin_where(env->model, env->scope->b.origin);
    (void)tl_fail(env->cx, TL_U006, &where, "%s", what);
    return false;
}

static void poison_results(aten_env *env, tl_value **results, size_t n)
{
    for (size_t i = 0; i < n; i++)
        results[i] = env->model->poison; /* replaced when all went well */
}

static bool any_poison(tl_value *const *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i]->poison)
            return true;
    return false;
}

/* A graph that was built for nothing: its uses of constants go away. */
static void drop_graph(tl_graph *graph)
{
    (void)tl_graph_set_outputs(graph, NULL, 0);
    while (graph->last->prev)
        tl_node_remove(graph->last->prev);
}

static bool may_go_deeper(aten_env *env)
{
    return env->depth < MAX_DEPTH || refuse_control(env, "branches and loops nested too deeply");
}

/* Adds captures that another child graph has. */
static void capture_also(aten_env *env, aten_scope *scope, const aten_scope *other)
{
    for (size_t i = 0; i < other->captures.n; i++)
        (void)aten_capture_input(env, scope, other->captures.v[i].outer);
}

/* Contents of storage as a scope that is not the current one sees them. */
static tl_value *seen_in(aten_env *env, aten_scope *scope, tl_value *value)
{
    aten_scope *current = env->scope;
    env->scope = scope;
    value = aten_see(env, value);
    env->scope = current;
    return value;
}

typedef TL_VEC(aten_storage *) storage_list;

/* Adds the storages written since mark that are older than n_before; true when one was new. */
static bool add_written(aten_env *env, size_t mark, uint32_t n_before, storage_list *list)
{
    aten_storage **written;
    size_t n = aten_journal_written(env, mark, &written), before = list->n;
    for (size_t i = 0; written && i < n; i++) {
        size_t k = 0;
        while (k < list->n && list->v[k] != written[i])
            k++;
        if (k == list->n && written[i]->id < n_before)
            (void)tl_vec_push(env->arena, list, written[i]);
    }
    return list->n > before;
}

/* ---- if ---- */

typedef struct built_branch {
    aten_scope scope;
    tl_value **results; /* n of the branch, then contents of the written storages */
    tl_value *
        *contents; /* by place in the list of written storages, as far as this branch knows them */
    size_t n_contents;
    bool fine;
} built_branch;

static void build_branch(aten_env *env, aten_branch_fn branch, void *user, size_t n,
                         const aten_scope *before, storage_list *written, built_branch *x,
                         bool taken)
{
    size_t mark = aten_journal_mark(env);
    uint32_t n_before = env->n_storages;
    *x = (built_branch){.results = TL_NEW_ARRAY(env->arena, tl_value *, n + 1)};
    aten_scope_enter(env, &x->scope,
                     tl_graph_new(env->model, tl_str_from(taken ? "then" : "else")));
    if (before)
        capture_also(env, &x->scope, before);
    x->fine = x->results && branch(env, user, taken, x->results, n) && !any_poison(x->results, n);
    (void)add_written(env, mark, n_before, written);
    x->contents = TL_NEW_ARRAY(env->arena, tl_value *, written->n + 1);
    x->n_contents = x->contents ? written->n : 0;
    for (size_t i = 0; i < x->n_contents; i++)
        x->contents[i] = written->v[i]->value;
    aten_scope_leave(env, &x->scope);
    aten_journal_undo(env, mark);
}

/* All results of a branch: its own, then every written storage's contents. */
static tl_value **all_results(aten_env *env, built_branch *x, const storage_list *written, size_t n)
{
    tl_value **all = TL_NEW_ARRAY(env->arena, tl_value *, n + written->n + 1);
    for (size_t i = 0; all && i < n; i++)
        all[i] = x->results[i];
    for (size_t i = 0; all && i < written->n; i++)
        all[n + i] =
            seen_in(env, &x->scope, i < x->n_contents ? x->contents[i] : written->v[i]->value);
    if (all)
        (void)tl_graph_set_outputs(x->scope.b.graph, all, n + written->n);
    return all;
}

static bool same_ranks(aten_env *env, tl_value *const *a, tl_value *const *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i]->fact.type.rank != b[i]->fact.type.rank ||
            a[i]->fact.type.dtype != b[i]->fact.type.dtype)
            return refuse_control(env, "branches that give different ranks or element types, and "
                                       "which is taken is not known");
    return true;
}

static tl_value **captured_operands(aten_env *env, const aten_scope *scope, size_t before)
{
    tl_value **operands = TL_NEW_ARRAY(env->arena, tl_value *, before + scope->captures.n + 1);
    for (size_t i = 0; operands && i < scope->captures.n; i++)
        operands[before + i] = scope->captures.v[i].outer;
    return operands;
}

static tl_node *make_if(aten_env *env, tl_value *cond, built_branch *yes, built_branch *no,
                        const storage_list *written, size_t n)
{
    tl_value **a = all_results(env, yes, written, n), **b = all_results(env, no, written, n);
    if (!a || !b || any_poison(a, n + written->n) || any_poison(b, n + written->n) ||
        !same_ranks(env, a, b, n + written->n))
        return NULL;
    capture_also(env, &no->scope,
                 &yes->scope); /* the order of `no`, which began with that of `yes` */
    capture_also(env, &yes->scope, &no->scope);
    tl_value **operands = captured_operands(env, &no->scope, 1);
    if (!operands)
        return NULL;
    operands[0] = cond;
    return tl_build_node(&env->scope->b, TL_OP_if, operands, 1 + no->scope.captures.n, NULL,
                         n + written->n, (tl_graph *[]){yes->scope.b.graph, no->scope.b.graph}, 2);
}

bool aten_build_if(aten_env *env, tl_value *cond, aten_branch_fn branch, void *user,
                   tl_value **results, size_t n)
{
    built_branch yes, no;
    storage_list written = {0};
    poison_results(env, results, n);
    if (!may_go_deeper(env))
        return false;
    if (cond->fact.type.rank)
        cond = tl_build_reshape(&env->scope->b, cond, NULL, 0);
    cond = tl_build_cast(&env->scope->b, cond, TL_BOOL);
    build_branch(env, branch, user, n, NULL, &written, &yes, true);
    build_branch(env, branch, user, n, &yes.scope, &written, &no, false);
    tl_node *node =
        yes.fine && no.fine && !cond->poison ? make_if(env, cond, &yes, &no, &written, n) : NULL;
    if (!node) {
        drop_graph(yes.scope.b.graph);
        drop_graph(no.scope.b.graph);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        results[i] = node->out[i];
    for (size_t i = 0; i < written.n; i++)
        aten_storage_set(env, written.v[i], node->out[n + i]);
    return true;
}

/* ---- while ---- */

typedef struct while_plan {
    aten_loop_fn condition, body;
    void *user;
    size_t n; /* values the caller carries; written storages follow */
    tl_value *const *start;
    storage_list written;
    TL_VEC(bool) widened; /* TL_MAX_RANK per carried value: the axis varies */
} while_plan;

typedef struct while_attempt {
    aten_scope condition, body;
    tl_value **inputs, **results;
} while_attempt;

static tl_value *start_of(const while_plan *plan, size_t i)
{
    return i < plan->n ? plan->start[i] : plan->written.v[i - plan->n]->value;
}

/* Axes that vary get a symbol of their own, born on the graph's input. */
static tl_type type_in_loop(aten_env *env, const while_plan *plan, size_t i)
{
    tl_type type = start_of(plan, i)->fact.type;
    const tl_dim **dims = TL_NEW_ARRAY(env->arena, const tl_dim *, type.rank + 1);
    for (int axis = 0; dims && axis < type.rank; axis++)
        dims[axis] =
            plan->widened.v[i * TL_MAX_RANK + (size_t)axis]
                ? tl_dim_symbol(env->dims, tl_dims_fresh(env->dims, "loop", TL_INTERVAL_SIZE))
                : type.dims[axis];
    type.dims = dims;
    return type;
}

static bool add_loop_inputs(aten_env *env, const while_plan *plan, tl_value **inputs)
{
    for (size_t i = 0; i < plan->n + plan->written.n; i++) {
        inputs[i] = tl_graph_add_input(env->scope->b.graph, type_in_loop(env, plan, i), TL_STR(""));
        if (i >= plan->n)
            aten_storage_set(env, plan->written.v[i - plan->n], inputs[i]);
    }
    return true;
}

/* The condition's graph; false: recorded. */
static bool build_condition_graph(aten_env *env, while_plan *plan, while_attempt *x)
{
    size_t mark = aten_journal_mark(env), n = plan->n + plan->written.n;
    tl_value **inputs = TL_NEW_ARRAY(env->arena, tl_value *, n + 1), *go = NULL;
    aten_scope_enter(env, &x->condition, tl_graph_new(env->model, TL_STR("condition")));
    bool fine = inputs && add_loop_inputs(env, plan, inputs) &&
                plan->condition(env, plan->user, inputs, &go) && !go->poison;
    if (fine) {
        if (go->fact.type.rank)
            go = tl_build_reshape(&env->scope->b, go, NULL, 0);
        go = tl_build_cast(&env->scope->b, go, TL_BOOL);
        (void)tl_graph_set_outputs(env->scope->b.graph, &go, 1);
    }
    aten_scope_leave(env, &x->condition);
    aten_journal_undo(env, mark);
    return fine;
}

/* The body's graph without its outputs; *grown: it writes to more tensors than the plan knows. */
static bool build_body_graph(aten_env *env, while_plan *plan, while_attempt *x, bool *grown)
{
    size_t mark = aten_journal_mark(env), n = plan->n + plan->written.n;
    uint32_t n_before = env->n_storages;
    x->inputs = TL_NEW_ARRAY(env->arena, tl_value *, n + 1);
    x->results = TL_NEW_ARRAY(env->arena, tl_value *, n + 1);
    aten_scope_enter(env, &x->body, tl_graph_new(env->model, TL_STR("body")));
    capture_also(env, &x->body, &x->condition);
    bool fine = x->inputs && x->results && add_loop_inputs(env, plan, x->inputs) &&
                plan->body(env, plan->user, x->inputs, x->results);
    size_t known = plan->written.n;
    *grown = add_written(env, mark, n_before, &plan->written);
    for (size_t i = 0; fine && i < known; i++)
        x->results[plan->n + i] = aten_see(env, plan->written.v[i]->value);
    for (size_t i = 0; fine && i < n; i++)
        x->results[i] = aten_see(env, x->results[i]);
    fine = fine && !any_poison(x->results, n);
    aten_scope_leave(env, &x->body);
    aten_journal_undo(env, mark);
    return fine;
}

/* A carried value keeps its element type and rank; sizes that change are widened. */
static bool revise_carried(aten_env *env, while_plan *plan, const while_attempt *x, bool *changed)
{
    for (size_t i = 0; i < plan->n + plan->written.n; i++) {
        const tl_type *before = tl_type_of(x->inputs[i]), *after = tl_type_of(x->results[i]);
        if (before->dtype != after->dtype || before->rank != after->rank)
            return refuse_control(env, "a value of a loop whose rank or element type changes");
        for (int axis = 0; axis < before->rank; axis++) {
            bool *widened = &plan->widened.v[i * TL_MAX_RANK + (size_t)axis];
            if (*widened ||
                tl_dim_equal(env->dims, before->dims[axis], after->dims[axis]) == TL_YES)
                continue;
            *widened = *changed = true;
        }
    }
    return true;
}

static bool room_for_flags(aten_env *env, while_plan *plan)
{
    size_t n = (plan->n + plan->written.n) * TL_MAX_RANK;
    while (plan->widened.n < n)
        if (!tl_vec_push(env->arena, &plan->widened, false))
            return false;
    return true;
}

static void finish_while(aten_env *env, while_plan *plan, while_attempt *x, tl_value **results)
{
    size_t n = plan->n + plan->written.n;
    capture_also(env, &x->condition, &x->body);
    (void)tl_graph_set_outputs(x->body.b.graph, x->results, n);
    tl_value **operands = captured_operands(env, &x->body, n);
    if (!operands)
        return;
    for (size_t i = 0; i < n; i++)
        operands[i] = aten_see(env, start_of(plan, i));
    tl_while_attrs attrs = {.carried = (int64_t)n};
    tl_node *node =
        tl_build_node(&env->scope->b, TL_OP_while, operands, n + x->body.captures.n, &attrs, n,
                      (tl_graph *[]){x->condition.b.graph, x->body.b.graph}, 2);
    for (size_t i = 0; i < plan->n; i++)
        results[i] = node->out[i];
    for (size_t i = 0; i < plan->written.n; i++)
        aten_storage_set(env, plan->written.v[i], node->out[plan->n + i]);
}

bool aten_build_while(aten_env *env, tl_value *const *start, size_t n, aten_loop_fn condition,
                      aten_loop_fn body, void *user, tl_value **results)
{
    while_plan plan = {.condition = condition, .body = body, .user = user, .n = n, .start = start};
    poison_results(env, results, n);
    if (any_poison(start, n) || !may_go_deeper(env))
        return false;
    for (int i = 0; i < MAX_ATTEMPTS && room_for_flags(env, &plan); i++) {
        while_attempt x = {0};
        bool grown = false, changed = false;
        bool fine =
            build_condition_graph(env, &plan, &x) && build_body_graph(env, &plan, &x, &grown);
        fine = fine && (grown || revise_carried(env, &plan, &x, &changed));
        if (fine && !grown && !changed) {
            finish_while(env, &plan, &x, results);
            return true;
        }
        if (x.condition.b.graph)
            drop_graph(x.condition.b.graph);
        if (x.body.b.graph)
            drop_graph(x.body.b.graph);
        if (!fine)
            return false;
    }
    return refuse_control(env, "a loop whose sizes change in too many ways");
}
