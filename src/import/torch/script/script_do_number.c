/* Built-in functions on numbers. */
#include "import/torch/script/script_private.h"

#include "base/math.h"

static bool all_numbers(const script_call *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (!script_is_number(c->args[i]))
            return false;
    return c->n > 0;
}

bool script_do_arith(script_call *c, script_value *out)
{
    if (c->n != 2 || !all_numbers(c))
        return false;
    *out = script_arith(c->ev, c->op, c->args[0], c->args[1]);
    return true;
}

bool script_do_compare(script_call *c, script_value *out)
{
    if (c->n == 2 && all_numbers(c)) {
        *out = script_compare(c->ev, c->op, c->args[0], c->args[1]);
        return true;
    }
    bool equality = c->op == TL_OP_equal || c->op == TL_OP_not_equal;
    if (c->n != 2 || !equality || c->args[0].kind == SCRIPT_TENSOR ||
        c->args[1].kind == SCRIPT_TENSOR)
        return false;
    script_value a = c->args[0], b = c->args[1];
    tl_tristate equal = script_equal(c->ev->dims, a, b);
    if (equal != TL_UNKNOWN) {
        *out = script_bool((equal == TL_YES) == (c->op == TL_OP_equal));
        return true;
    }
    const script_value *x, *y; /* element by element, as the model sees them */
    size_t n, k;
    if (!script_items(c->ev, a, &x, &n) || !script_items(c->ev, b, &y, &k))
        return false;
    script_value all = script_bool(true);
    for (size_t i = 0; i < n && i < k; i++) {
        if (!script_is_number(x[i]) || !script_is_number(y[i]))
            return false;
        all =
            script_arith(c->ev, TL_OP_bitand, all, script_compare(c->ev, TL_OP_equal, x[i], y[i]));
    }
    *out = c->op == TL_OP_equal ? all : script_not(c->ev, all);
    return true;
}

bool script_do_math(script_call *c, script_value *out)
{
    if (c->n != 1 || !all_numbers(c))
        return false;
    *out = script_math(c->ev, c->op, c->args[0]);
    return true;
}

bool script_do_log_base(script_call *c, script_value *out)
{
    if (c->n != 1 || !all_numbers(c))
        return false;
    script_value base = script_math(c->ev, TL_OP_log, script_float(c->form));
    *out = script_arith(c->ev, TL_OP_div, script_math(c->ev, TL_OP_log, c->args[0]), base);
    double whole = script_is_known(*out) ? tl_round_even(out->f) : 0; /* powers exactly */
    script_value x = script_to_number(c->ev, SCRIPT_FLOAT, c->args[0]);
    if (script_is_known(*out) && script_is_known(x) && tl_pow(c->form, whole) == x.f)
        out->f = whole;
    return true;
}

bool script_do_trunc(script_call *c, script_value *out)
{
    if (c->n != 1 || !all_numbers(c))
        return false;
    *out = script_to_number(c->ev, SCRIPT_INT, c->args[0]);
    return true;
}

bool script_do_not(script_call *c, script_value *out)
{
    if (c->n != 1)
        return false;
    *out = script_not(c->ev, c->args[0]);
    return true;
}

/* int(x), float(x), bool(x) */
bool script_do_convert(script_call *c, script_value *out)
{
    if (c->n != 1)
        return false;
    *out = script_to_number(c->ev, (script_kind)c->form, c->args[0]);
    return true;
}

bool script_do_extremum(script_call *c, script_value *out)
{
    const script_value *items = c->args;
    size_t n = c->n;
    if (n == 1 && !script_items(c->ev, c->args[0], &items, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!script_is_number(items[i]))
            return false;
    if (n == 0)
        return false;
    *out = items[0];
    for (size_t i = 1; i < n; i++)
        *out = script_arith(c->ev, c->op, *out, items[i]);
    return true;
}

bool script_do_sum(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    if (c->n != 1 || !script_items(c->ev, c->args[0], &items, &n))
        return false;
    *out = script_int(c->ev, 0);
    for (size_t i = 0; i < n; i++)
        *out = script_arith(c->ev, TL_OP_add, *out, items[i]);
    return true;
}

/* any, all of a list */
bool script_do_any(script_call *c, script_value *out)
{
    const script_value *items;
    size_t n;
    if (c->n != 1 || !script_items(c->ev, c->args[0], &items, &n))
        return false;
    *out = script_bool(c->op == TL_OP_bitand);
    for (size_t i = 0; i < n; i++)
        *out = script_arith(c->ev, c->op, *out, script_to_number(c->ev, SCRIPT_BOOL, items[i]));
    return true;
}

/* Turns of range(lo, hi, step). */
bool script_do_range_length(script_call *c, script_value *out)
{
    int64_t step;
    script_eval *ev = c->ev;
    if (c->n != 3 || !all_numbers(c) || !script_is_int(c->args[2], &step) || step == 0)
        return false;
    script_value lo = c->args[step < 0], hi = c->args[step > 0];
    script_value span = script_arith(ev, TL_OP_sub, hi, lo);
    span = script_arith(ev, TL_OP_add, span, script_int(ev, (step < 0 ? -step : step) - 1));
    span = script_arith(ev, TL_OP_floordiv, span, script_int(ev, step < 0 ? -step : step));
    *out = script_arith(ev, TL_OP_max, span, script_int(ev, 0));
    return true;
}

bool script_do_derive_index(script_call *c, script_value *out)
{
    if (c->n != 3 || !all_numbers(c))
        return false;
    *out = script_arith(c->ev, TL_OP_add, c->args[1],
                        script_arith(c->ev, TL_OP_mul, c->args[0], c->args[2]));
    return true;
}

/* is None, is not None: the kind of a value is known even where it is not. */
bool script_do_is(script_call *c, script_value *out)
{
    if (c->n != 2)
        return false;
    script_value a = c->args[0], b = c->args[1];
    if (a.kind == SCRIPT_UNKNOWN || b.kind == SCRIPT_UNKNOWN) {
        *out = a.kind == SCRIPT_UNKNOWN ? a : b;
        return true;
    }
    script_value maybe = a.kind == SCRIPT_MAYBE ? a : b, other = a.kind == SCRIPT_MAYBE ? b : a;
    if (maybe.kind == SCRIPT_MAYBE && other.kind == SCRIPT_NONE) {
        *out = script_from_value(c->ev, SCRIPT_BOOL, aten_see(&c->ev->env, maybe.maybe->present));
        *out = c->form ? *out : script_not(c->ev, *out);
        return true;
    }
    *out = script_bool(script_same(a, b) != (c->form != 0));
    return true;
}

bool script_do_constant(script_call *c, script_value *out)
{
    *out = script_bool(c->form != 0);
    return true;
}

bool script_do_nothing(script_call *c, script_value *out)
{
    (void)c;
    *out = script_none();
    return true;
}

bool script_do_same(script_call *c, script_value *out)
{
    if (c->n < 1)
        return false;
    *out = c->args[0];
    return true;
}

bool script_do_raise(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    tl_text text;
    tl_text_init(&text, ev->arena);
    if (c->n)
        script_print(c->args[0], &text);
    ev->message = (tl_str){tl_text_get(&text), text.n};
    ev->raised_at = script_origin(ev, TL_STR("raise"));
    ev->raised = true;
    *out = script_unknown();
    return true;
}
