/* What operators meant in older archives. PyTorch numbers these changes, the archive says which number it was
 * written for. */
#include "import/torch/script/script_private.h"

static bool is_whole(script_eval *ev, script_value x)
{
    if (x.kind == SCRIPT_TENSOR)
        return !tl_dtype_is_float(script_read(ev, x)->fact.type.dtype) && !x.t->is_complex;
    return x.kind == SCRIPT_INT || x.kind == SCRIPT_BOOL;
}

/* Before 4, div and div_ of integers cut the fraction off. */
bool script_do_old_div(script_call *c, script_value *out)
{
    static const tl_str keyword = {"rounding_mode", 13};
    script_eval *ev = c->ev;
    if (ev->archive->version >= 4 || c->n != 2 || c->n_keywords ||
        c->args[0].kind != SCRIPT_TENSOR || !is_whole(ev, c->args[0]) || !is_whole(ev, c->args[1]))
        return false;
    script_value args[3] = {c->args[0], c->args[1], script_str(TL_STR("trunc"))};
    *out = script_call_operator(ev, c->name, args, 3, &keyword, 1);
    return true;
}

/* Before 5, full without a type gave floats whatever it was filled with. */
bool script_do_old_full(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    const script_value *dtype = script_arg(c, 2, "dtype");
    bool given = dtype && dtype->kind != SCRIPT_NONE;
    if (ev->archive->version >= 5 || c->n < 2 || given || c->args[1].kind == SCRIPT_FLOAT ||
        !script_is_number(c->args[1]))
        return false;
    script_value *args = TL_NEW_ARRAY(ev->arena, script_value, c->n);
    for (size_t i = 0; args && i < c->n; i++)
        args[i] = c->args[i];
    if (!args)
        return false;
    args[1] = script_to_number(ev, SCRIPT_FLOAT, args[1]);
    *out = script_call_operator(ev, c->name, args, c->n, c->keywords, c->n_keywords);
    return true;
}

/* Before 8 (linspace) and 9 (logspace) the number of steps could be left out. */
bool script_do_old_space(script_call *c, script_value *out)
{
    script_eval *ev = c->ev;
    if (ev->archive->version >= c->form || c->n < 3 || c->args[2].kind != SCRIPT_NONE)
        return false;
    script_value *args = TL_NEW_ARRAY(ev->arena, script_value, c->n);
    for (size_t i = 0; args && i < c->n; i++)
        args[i] = i == 2 ? script_int(ev, 100) : c->args[i];
    if (!args)
        return false;
    *out = script_call_operator(ev, c->name, args, c->n, c->keywords, c->n_keywords);
    return true;
}
