/* Models as text. Ids are positional: constants in the order of their first use, values of an entry
 * in the order in which they appear. */
#include "ir/build.h"
#include "ir/text_private.h"

typedef struct printer {
    const tl_model *model;
    tl_print_options options;
    tl_text *text;
    tl_arena arena;                     /* of what follows */
    uint32_t *number;                   /* by value id: its number + 1; 0 = none yet */
    bool *symbol_used;                  /* by symbol id */
    TL_VEC(const tl_value *) constants; /* in order of first use */
    uint32_t next;                      /* number of the next value of this entry */
    tl_status status;
} printer;

/* ---- what is used ---- */

static void use_dim(printer *p, const tl_dim *d)
{
    for (uint32_t i = 0; i < d->n_symbols; i++)
        p->symbol_used[d->symbols[i]->id] = true;
}

static void use_type(printer *p, const tl_value *value)
{
    for (int i = 0; !value->poison && i < value->fact.type.rank; i++)
        use_dim(p, value->fact.type.dims[i]);
}

static void use_attrs(printer *p, const tl_node *node)
{
    size_t n;
    const tl_field *fields = tl_attrs_fields(tl_op_get(node->op)->attrs, &n);
    for (size_t i = 0; i < n; i++) {
        if (fields[i].kind != TL_FIELD_dims)
            continue;
        tl_dim_list list;
        memcpy(&list, (const char *)node->attrs + fields[i].offset, sizeof list);
        for (size_t k = 0; k < list.n; k++)
            use_dim(p, list.v[k]);
    }
}

static void use_constant(printer *p, const tl_value *value)
{
    if (!value || value->graph || !value->constant || p->number[value->id])
        return;
    if (!tl_vec_push(&p->arena, &p->constants, value))
        p->status = tl_context_status(p->model->cx);
    p->number[value->id] = (uint32_t)p->constants.n;
}

static void use_graph(printer *p, const tl_graph *graph)
{
    for (size_t i = 0; i < graph->inputs.n; i++)
        use_type(p, graph->inputs.v[i]);
    TL_EACH_NODE (node, graph) {
        for (uint32_t i = 0; i < node->n_in; i++)
            use_constant(p, node->in[i].value);
        if (node->op != TL_OP_ret)
            use_attrs(p, node);
        for (uint32_t i = 0; i < node->n_out; i++)
            use_type(p, node->out[i]);
        for (uint32_t i = 0; i < node->n_graphs; i++)
            use_graph(p, node->graphs[i]);
    }
}

/* ---- values ---- */

static void print_quoted(printer *p, const char *before, tl_str s)
{
    tl_text_add(p->text, before);
    tl_text_add_json(p->text, s);
}

static void print_operand_id(printer *p, const tl_value *value)
{
    if (!value)
        tl_text_add_char(p->text, '_');
    else if (!p->number[value->id])
        tl_text_add(p->text, "%?"); /* broken: from nowhere in sight */
    else
        tl_text_printf(p->text, value->graph ? "%%%u" : "%%c%u", p->number[value->id] - 1);
}

/* A value where it is defined: gets its number. */
static void print_definition(printer *p, const tl_value *value, tl_str name)
{
    p->number[value->id] = ++p->next;
    print_operand_id(p, value);
    if (name.n)
        print_quoted(p, " ", name);
}

static void print_value_type(const tl_value *value, tl_text *text)
{
    if (value->poison)
        tl_text_add(text, "poison");
    else
        tl_type_print(&value->fact.type, text);
}

/* Inputs from..to of a graph; names NULL: the values' own. */
static void print_inputs(printer *p, const tl_graph *graph, const tl_str *names, size_t from,
                         size_t to)
{
    for (size_t i = from; i < to; i++) {
        const tl_value *value = graph->inputs.v[i];
        tl_text_add(p->text, i > from ? ", " : "");
        print_definition(p, value, names ? names[i] : value->name);
        tl_text_add(p->text, ": ");
        print_value_type(value, p->text);
    }
}

/* ---- nodes ---- */

static void print_indent(printer *p, int depth)
{
    tl_text_printf(p->text, "%*s", 2 * depth, "");
}

static void print_origin(printer *p, const tl_origin *origin)
{
    const char *before = " # at ";
    for (; origin; origin = origin->also, before = "; ") {
        tl_text_printf(p->text, "%s%.*s", before, TL_STR_ARG(origin->node));
        if (origin->op.n)
            tl_text_printf(p->text, " (%.*s)", TL_STR_ARG(origin->op));
        for (size_t i = 0; i < origin->n_frames; i++)
            tl_text_printf(p->text, ", %.*s", TL_STR_ARG(origin->frames[i]));
    }
}

static void print_attrs(const tl_node *node, tl_text *text)
{
    size_t n = text->n;
    tl_text_add_char(text, ' ');
    tl_attrs_print(tl_op_get(node->op)->attrs, node->attrs, text);
    if (text->n == n + 1 && !text->failed)
        text->p[text->n = n] = '\0';
}

static void print_body(printer *p, const tl_graph *graph, int depth);

static void print_children(printer *p, const tl_node *node, int depth)
{
    tl_text_add(p->text, " {\n");
    for (uint32_t i = 0; i < node->n_graphs; i++) {
        print_indent(p, depth + 1);
        tl_text_add(p->text, "graph(");
        print_inputs(p, node->graphs[i], NULL, 0, node->graphs[i]->inputs.n);
        tl_text_add(p->text, ") ");
        print_body(p, node->graphs[i], depth + 1);
    }
    print_indent(p, depth);
    tl_text_add_char(p->text, '}');
}

static void print_node(printer *p, const tl_node *node, int depth)
{
    print_indent(p, depth);
    for (uint32_t i = 0; i < node->n_out; i++) {
        tl_text_add(p->text, i ? ", " : "");
        print_definition(p, node->out[i], node->out[i]->name);
    }
    tl_text_printf(p->text, " = %s(", tl_op_get(node->op)->name);
    for (uint32_t i = 0; i < node->n_in; i++) {
        tl_text_add(p->text, i ? ", " : "");
        print_operand_id(p, node->in[i].value);
    }
    tl_text_add_char(p->text, ')');
    print_attrs(node, p->text);
    for (uint32_t i = 0; p->options.types && i < node->n_out; i++) {
        tl_text_add(p->text, i ? ", " : " : ");
        print_value_type(node->out[i], p->text);
    }
    if (node->n_graphs)
        print_children(p, node, depth);
    if (p->options.origins)
        print_origin(p, node->origin);
    tl_text_add_char(p->text, '\n');
}

static void print_body(printer *p, const tl_graph *graph, int depth)
{
    tl_text_add(p->text, "{\n");
    TL_EACH_NODE (node, graph)
        if (node->op != TL_OP_ret)
            print_node(p, node, depth + 1);
    print_indent(p, depth + 1);
    tl_text_add(p->text, "return");
    for (size_t i = 0; i < tl_graph_n_outputs(graph); i++) {
        tl_text_add(p->text, i ? ", " : " ");
        print_operand_id(p, tl_graph_output(graph, i));
    }
    tl_text_add_char(p->text, '\n');
    print_indent(p, depth);
    tl_text_add(p->text, "}\n");
}

/* ---- the model ---- */

static void print_head(printer *p)
{
    const tl_model *model = p->model;
    print_quoted(p, "model ", model->source_name);
    if (model->source_format.n)
        print_quoted(p, " format ", model->source_format);
    if (model->producer.n)
        print_quoted(p, " producer ", model->producer);
    tl_text_add_char(p->text, '\n');
    for (size_t i = 0; i < tl_dims_n_symbols(model->dims); i++) {
        const tl_symbol *symbol = tl_dims_get_symbol(model->dims, i);
        if (!p->symbol_used[i])
            continue;
        tl_text_add(p->text, "symbol ");
        tl_dim_print(tl_dim_symbol(model->dims, symbol), p->text);
        tl_text_printf(p->text, " %lld..", (long long)symbol->range.lo);
        if (symbol->range.hi != INT64_MAX)
            tl_text_printf(p->text, "%lld", (long long)symbol->range.hi);
        if (symbol->hint)
            tl_text_printf(p->text, " hint=%lld", (long long)symbol->hint);
        tl_text_add_char(p->text, '\n');
    }
}

static tl_status print_constant(printer *p, const tl_value *value)
{
    tl_text_add(p->text, "const ");
    print_operand_id(p, value);
    if (value->name.n)
        print_quoted(p, " ", value->name);
    tl_text_add(p->text, " : ");
    print_value_type(value, p->text);
    tl_text_add(p->text, " = ");
    TRY(tl_const_print(p->model->cx, value->constant, p->options.max_inline, p->text));
    tl_text_add_char(p->text, '\n');
    return TL_OK;
}

static void print_entry(printer *p, const tl_entry *entry)
{
    p->next = 0;
    print_quoted(p, "entry ", entry->name);
    tl_text_add_char(p->text, '(');
    print_inputs(p, entry->graph, entry->in_names, 0, entry->n_in);
    tl_text_add(p->text, entry->n_state ? "; " : "");
    print_inputs(p, entry->graph, entry->in_names, entry->n_in, entry->n_in + entry->n_state);
    tl_text_add(p->text, ") -> (");
    for (size_t i = 0; i < entry->n_out + entry->n_state; i++)
        print_quoted(p, i == entry->n_out ? "; " : i ? ", " : "", entry->out_names[i]);
    tl_text_add(p->text, ") ");
    print_body(p, entry->graph, 0);
}

static tl_status print_model(printer *p)
{
    const tl_model *model = p->model;
    p->number = TL_NEW_ARRAY(&p->arena, uint32_t, model->n_values + 1);
    p->symbol_used = TL_NEW_ARRAY(&p->arena, bool, tl_dims_n_symbols(model->dims) + 1);
    if (!p->number || !p->symbol_used)
        return tl_context_status(model->cx);
    for (size_t i = 0; i < model->entries.n; i++)
        use_graph(p, model->entries.v[i].graph);
    TRY(p->status);
    print_head(p);
    for (size_t i = 0; i < p->constants.n; i++)
        TRY(print_constant(p, p->constants.v[i]));
    for (size_t i = 0; i < model->entries.n; i++)
        print_entry(p, &model->entries.v[i]);
    return p->text->failed ? tl_context_status(model->cx) : TL_OK;
}

tl_status tl_model_print(const tl_model *model, const tl_print_options *options, tl_text *text)
{
    printer p = {.model = model, .text = text, .options = {.types = true, .max_inline = 16}};
    if (options)
        p.options = *options;
    tl_arena_init(&p.arena, model->cx);
    tl_status status = print_model(&p);
    tl_arena_release(&p.arena);
    return status;
}

void tl_node_print(const tl_node *node, tl_text *text)
{
    tl_text_printf(text, "%s(", tl_op_get(node->op)->name);
    for (uint32_t i = 0; i < node->n_in; i++) {
        const tl_value *value = node->in[i].value;
        tl_text_add(text, i ? ", " : "");
        if (!value) {
            tl_text_add_char(text, '_');
            continue;
        }
        tl_text_add(text, value->constant ? "const " : "");
        print_value_type(value, text);
    }
    tl_text_add_char(text, ')');
    print_attrs(node, text);
    for (uint32_t i = 0; i < node->n_out; i++) {
        tl_text_add(text, i ? ", " : " -> ");
        print_value_type(node->out[i], text);
    }
}
