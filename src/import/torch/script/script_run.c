/* Statements, calls of the program's own functions. */
#include "import/torch/script/script_private.h"

/* ---- assignments ---- */

static void assign(script_eval *ev, const script_expr *target, script_value value)
{
    if (target->kind == SCRIPT_EXPR_NAME) {
        script_set_slot(ev, script_find_slot(ev, target->text), value);
        return;
    }
    if (target->kind == SCRIPT_EXPR_ATTR) {
        script_value base = script_eval_expr(ev, target->base);
        if (base.kind == SCRIPT_OBJECT) {
            script_assign_attr(ev, base.object, target->text, value);
            return;
        }
        if (base.kind == SCRIPT_UNKNOWN)
            return;
    }
    script_fail(ev, TL_M003, "an assignment to what is no variable");
}

static void unpack(script_eval *ev, const script_stmt *stmt, script_value value)
{
    const script_value *items = NULL;
    size_t n = stmt->n_targets;
    if (value.kind != SCRIPT_UNKNOWN && !script_items(ev, value, &items, &n)) {
        script_fail(ev, TL_U006, "%s is taken apart, but how many elements it has is not known",
                    script_kind_name(value));
        items = NULL;
        n = stmt->n_targets;
    }
    if (n != stmt->n_targets) {
        script_fail(ev, TL_M003, "%zu values for %zu variables", n, stmt->n_targets);
        items = NULL;
    }
    for (size_t i = 0; i < stmt->n_targets; i++)
        assign(ev, stmt->targets[i], items ? items[i] : script_unknown());
}

static void run_assign(script_eval *ev, const script_stmt *stmt)
{
    script_value few[8], *values = few;
    const script_expr *target = stmt->targets[0];
    ev->frame->target = target->kind == SCRIPT_EXPR_NAME ? target->text : TL_STR("");
    if (stmt->n_values > TL_COUNT(few))
        values = TL_NEW_ARRAY(ev->arena, script_value, stmt->n_values);
    for (size_t i = 0; values && i < stmt->n_values; i++)
        values[i] = script_eval_expr(ev, stmt->values[i]);
    ev->frame->target = TL_STR("");
    if (!values || ev->raised)
        return;
    if (stmt->unpack) {
        unpack(ev, stmt, values[0]);
        return;
    }
    for (size_t i = 0; i < stmt->n_targets; i++) {
        assign(ev, stmt->targets[i], values[i]);
        if (stmt->targets[i]->kind == SCRIPT_EXPR_NAME)
            script_name_value(ev, stmt->targets[i]->text, values[i]);
    }
}

/* ---- control flow ---- */

/* What decides is unknown because of something reported before: both ways are looked at for more. */
static void run_both(script_eval *ev, const script_block *yes, const script_block *no)
{
    script_mark mark = script_mark_set(ev);
    const script_block *const blocks[2] = {yes, no};
    for (int k = 0; k < 2; k++) {
        script_run_block(ev, blocks[k]);
        ev->raised = false;
    }
    size_t n;
    const script_change *changed = script_changed(ev, mark, &n);
    for (size_t i = 0; changed && i < n; i++)
        if (changed[i].kind == SCRIPT_CHANGE_NAME)
            script_set_slot(ev, changed[i].slot, script_unknown());
    script_mark_keep(ev, mark);
}

static void run_if(script_eval *ev, const script_stmt *stmt)
{
    script_value cond = script_to_number(ev, SCRIPT_BOOL, script_eval_expr(ev, stmt->values[0]));
    if (ev->raised)
        return;
    if (cond.kind != SCRIPT_BOOL)
        run_both(ev, &stmt->body, &stmt->other);
    else if (cond.v)
        script_branch(ev, cond.v, &stmt->body, &stmt->other);
    else
        script_run_block(ev, cond.b ? &stmt->body : &stmt->other);
}

static bool may_unroll(script_eval *ev, uint64_t n)
{
    if (n <= SCRIPT_MAX_UNROLL)
        return true;
    script_fail(ev, TL_U006, "a loop of more than %u turns", SCRIPT_MAX_UNROLL);
    return false;
}

static void run_for(script_eval *ev, const script_stmt *stmt)
{
    script_value trips = script_eval_expr(ev, stmt->values[0]);
    int64_t n;
    if (ev->raised || stmt->targets[0]->kind != SCRIPT_EXPR_NAME)
        return;
    script_slot *counter = script_find_slot(ev, stmt->targets[0]->text);
    if (trips.kind == SCRIPT_UNKNOWN) {
        static const script_block nothing;
        script_set_slot(ev, counter, script_unknown());
        run_both(ev, &stmt->body, &nothing);
        return;
    }
    if (!script_is_int(trips, &n)) {
        script_loop(ev, counter, trips, NULL, &stmt->body);
        return;
    }
    if (!may_unroll(ev, (uint64_t)TL_MAX(n, 0)))
        return;
    for (int64_t i = 0; i < n && !script_stopped(ev); i++) {
        script_set_slot(ev, counter, script_int(ev, i));
        script_run_block(ev, &stmt->body);
    }
}

/* Turn after turn while the condition is known; from the start again, as a loop of the model, when the
 * model decides it. */
static void run_while(script_eval *ev, const script_stmt *stmt)
{
    if (stmt->values[0]->kind != SCRIPT_EXPR_NAME) {
        script_fail(ev, TL_M003, "a loop whose condition is no variable");
        return;
    }
    script_slot *cond = script_find_slot(ev, stmt->values[0]->text);
    script_mark mark = script_mark_set(ev);
    for (uint64_t turn = 0; cond && !script_stopped(ev); turn++) {
        script_value go = script_to_number(ev, SCRIPT_BOOL, cond->value);
        if (go.kind != SCRIPT_BOOL) {
            static const script_block nothing;
            run_both(ev, &stmt->body, &nothing);
            break;
        }
        if (go.v) {
            script_mark_undo(ev, mark);
            script_loop(ev, NULL, script_none(), cond, &stmt->body);
            return;
        }
        if (!go.b || !may_unroll(ev, turn))
            break;
        script_run_block(ev, &stmt->body);
    }
    script_mark_keep(ev, mark);
}

static void run_with(script_eval *ev, const script_stmt *stmt)
{
    script_value x = script_eval_expr(ev, stmt->values[0]);
    if (stmt->n_targets) {
        if (x.kind == SCRIPT_OBJECT && x.object->class)
            x = script_call_method(ev, x.object, TL_STR("__enter__"), NULL, 0, NULL, 0);
        assign(ev, stmt->targets[0], x);
    }
    script_run_block(ev, &stmt->body); /* gradients, profiling: nothing that changes a result */
}

/* ---- statements ---- */

bool script_enter(script_eval *ev)
{
    if (ev->n_visits % 1024 == 0 && tl_check_cancel(ev->cx) != TL_OK)
        return false;
    if (ev->nesting < SCRIPT_MAX_NESTING && ev->n_visits++ < SCRIPT_MAX_VISITS) {
        ev->nesting++;
        return true;
    }
    if (tl_context_status(ev->cx) == TL_OK)
        script_fail(ev, TL_U006, "the program or its values are nested too deeply");
    return false;
}

bool script_afford(script_eval *ev, uint64_t n)
{
    bool before = ev->n_made <= SCRIPT_MAX_MADE;
    ev->n_made += TL_MIN(n, (uint64_t)SCRIPT_MAX_MADE + 1);
    if (ev->n_made <= SCRIPT_MAX_MADE)
        return true;
    if (before)
        script_fail(ev, TL_U006, "the program makes lists of more than %u elements at import",
                    SCRIPT_MAX_MADE);
    return false;
}

static bool may_step(script_eval *ev)
{
    if (ev->n_steps <= SCRIPT_MAX_STEPS && ev->arena->total > SCRIPT_MAX_BYTES) {
        ev->n_steps = SCRIPT_MAX_STEPS + 1; /* said once */
        script_fail(ev, TL_U006, "the program needs more than %zu MB of memory at import",
                    SCRIPT_MAX_BYTES >> 20);
        return false;
    }
    if (ev->n_steps++ < SCRIPT_MAX_STEPS)
        return tl_check_cancel(ev->cx) == TL_OK;
    if (ev->n_steps == SCRIPT_MAX_STEPS + 1)
        script_fail(ev, TL_U006, "the program runs for more than %u statements at import",
                    SCRIPT_MAX_STEPS);
    return false;
}

static void run_statement(script_eval *ev, const script_stmt *stmt)
{
    ev->frame->statement = ev->frame->expr = stmt->offset;
    switch (stmt->kind) {
    case SCRIPT_STMT_ASSIGN:
        run_assign(ev, stmt);
        break;
    case SCRIPT_STMT_EXPR:
        (void)script_eval_expr(ev, stmt->values[0]);
        break;
    case SCRIPT_STMT_IF:
        run_if(ev, stmt);
        break;
    case SCRIPT_STMT_FOR:
        run_for(ev, stmt);
        break;
    case SCRIPT_STMT_WHILE:
        run_while(ev, stmt);
        break;
    case SCRIPT_STMT_WITH:
        run_with(ev, stmt);
        break;
    case SCRIPT_STMT_RETURN: {
        script_value result =
            stmt->n_values ? script_eval_expr(ev, stmt->values[0]) : script_none();
        if (ev->raised)
            break;
        ev->frame->result = result;
        ev->frame->returned = true;
        break;
    }
    case SCRIPT_STMT_DEF:
        script_set_slot(ev, script_find_slot(ev, stmt->function->name),
                        (script_value){.kind = SCRIPT_FUNCTION, .function = stmt->function});
        break;
    case SCRIPT_STMT_PASS:
        break;
    }
}

void script_run_block(script_eval *ev, const script_block *block)
{
    if (!script_enter(ev))
        return;
    for (size_t i = 0; i < block->n && !script_stopped(ev) && may_step(ev); i++)
        run_statement(ev, &block->v[i]);
    script_leave(ev);
}

/* ---- calls ---- */

static const script_value *find_keyword(tl_str name, const script_value *args, size_t n,
                                        const tl_str *keywords, size_t n_keywords)
{
    for (size_t i = 0; i < n_keywords; i++)
        if (tl_str_equal(keywords[i], name))
            return &args[n - n_keywords + i];
    return NULL;
}

/* Functions of libraries that are operators by another name. */
static bool call_known(script_eval *ev, const script_function *f, const script_value *args,
                       size_t n, const tl_str *keywords, size_t n_keywords, script_value *out)
{
    const char *name = tl_arena_printf(ev->arena, "%.*s.%.*s", TL_STR_ARG(f->file->qualifier),
                                       TL_STR_ARG(f->name));
    return name && script_call_builtin(ev, tl_str_from(name), args, n, keywords, n_keywords, out);
}

/* Parameters become variables of the frame, which is the current one. */
static bool bind_params(script_eval *ev, const script_function *f, script_object *self,
                        const script_value *args, size_t n, const tl_str *keywords,
                        size_t n_keywords)
{
    size_t first = self ? 1 : 0, n_positional = n - n_keywords;
    if (self && f->n_params)
        script_set_slot(ev, script_find_slot(ev, f->params[0].name),
                        (script_value){.kind = SCRIPT_OBJECT, .object = self});
    if (f->n_params < first + n_positional) {
        script_fail(ev, TL_M003, "%.*s takes %zu arguments, %zu are given", TL_STR_ARG(f->name),
                    f->n_params - TL_MIN(first, f->n_params), n);
        return false;
    }
    for (size_t i = first; i < f->n_params; i++) {
        const script_param *param = &f->params[i];
        const script_value *given = find_keyword(param->name, args, n, keywords, n_keywords);
        if (i - first < n_positional)
            given = &args[i - first];
        if (!given && !param->value) {
            script_fail(ev, TL_M003, "%.*s: argument %.*s is missing", TL_STR_ARG(f->name),
                        TL_STR_ARG(param->name));
            return false;
        }
        script_set_slot(ev, script_find_slot(ev, param->name),
                        given ? *given : script_eval_expr(ev, param->value));
    }
    return true;
}

static script_value run_call(script_eval *ev, script_frame *frame, script_object *self,
                             const script_value *args, size_t n, const tl_str *keywords,
                             size_t n_keywords)
{
    const script_function *f = frame->function;
    if (ev->depth >= SCRIPT_MAX_DEPTH) {
        script_fail(ev, TL_U006, "%.*s: calls nested too deeply", TL_STR_ARG(f->name));
        return script_unknown();
    }
    frame->statement = frame->expr = f->offset;
    tl_map_init(&frame->names, ev->arena);
    ev->frame = frame;
    ev->depth++;
    if (bind_params(ev, f, self, args, n, keywords, n_keywords))
        script_run_block(ev, &f->body);
    ev->depth--;
    ev->frame = frame->caller;
    if (ev->raised)
        return script_unknown();
    return frame->returned ? frame->result : script_none();
}

script_value script_call_function(script_eval *ev, const script_function *f, script_object *self,
                                  const script_value *args, size_t n, const tl_str *keywords,
                                  size_t n_keywords)
{
    script_frame frame = {.caller = ev->frame, .function = f, .self = self};
    script_value out;
    if (!self && call_known(ev, f, args, n, keywords, n_keywords, &out))
        return out;
    return run_call(ev, &frame, self, args, n, keywords, n_keywords);
}

script_value script_call_inner(script_eval *ev, const script_function *f)
{
    script_frame frame = {
        .caller = ev->frame, .around = ev->frame, .function = f, .self = ev->frame->self};
    return run_call(ev, &frame, NULL, NULL, 0, NULL, 0);
}

script_value script_call_method(script_eval *ev, script_object *self, tl_str name,
                                const script_value *args, size_t n, const tl_str *keywords,
                                size_t n_keywords)
{
    const script_function *method = self->class ? script_find_method(self->class, name) : NULL;
    if (method)
        return script_call_function(ev, method, self, args, n, keywords, n_keywords);
    script_fail(ev, TL_M003, "%.*s has no method %.*s", TL_STR_ARG(self->name), TL_STR_ARG(name));
    return script_unknown();
}
