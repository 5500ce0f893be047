/* From a place in the archive's code to the user's line: the debug tables (.debug_pkl). A record covers the
 * code from its offset to the next record's, and names a range of a source text: a whole function where
 * the module was scripted, Python's call stack where it was traced. */
#include "import/torch/script/script_private.h"
#include "import/traceback.h"

#include <stdarg.h>

#define MAX_FRAMES 12

typedef struct debug_table {
    const tl_pickle *texts; /* tuple of text, or NULL: texts stand in the records */
    const tl_pickle *records;
} debug_table;

/* ---- the table ---- */

static bool is_tuple(const tl_pickle *p, size_t n)
{
    return p && (p->kind == TL_PICKLE_TUPLE || p->kind == TL_PICKLE_LIST) && p->n >= n;
}

static bool is_int(const tl_pickle *p)
{
    return p && p->kind == TL_PICKLE_INT;
}

static const debug_table *read_table(script_eval *ev, const script_file *file)
{
    const char *record = tl_arena_printf(ev->arena, "%.*s.debug_pkl", TL_STR_ARG(file->path));
    const tl_pickle *root;
    if (!record || !script_archive_has(ev->archive, record) ||
        script_archive_pickle(ev->archive, record, &root) != TL_OK)
        return NULL;
    debug_table *table = TL_NEW(ev->arena, debug_table);
    if (!table || !is_tuple(root, 0))
        return NULL;
    bool shared =
        is_tuple(root, 3) && root->items[0]->kind == TL_PICKLE_TEXT && is_tuple(root->items[1], 0);
    table->texts = shared ? root->items[1] : NULL;
    table->records = shared ? root->items[2] : root;
    return is_tuple(table->records, 0) ? table : NULL;
}

static const debug_table *find_table(script_eval *ev, const script_file *file)
{
    union { /* the table is filled in when somebody asks for it */
        const script_file *constant;
        script_file *file;
    } at = {.constant = file};
    if (!file->debug_read) {
        at.file->debug_read = true;
        at.file->debug = read_table(ev, file);
    }
    return file->debug;
}

static uint64_t record_offset(const tl_pickle *record)
{
    return is_tuple(record, 2) && is_int(record->items[0]) ? (uint64_t)record->items[0]->i : 0;
}

/* source, start, end of a record; false when it says nothing. */
static bool record_range(const tl_pickle *record, const tl_pickle **source, int64_t *start)
{
    const tl_pickle *range = is_tuple(record, 2) ? record->items[1] : NULL;
    if (!is_tuple(range, 3) || !is_tuple(range->items[0], 3) || !is_int(range->items[1]))
        return false;
    *source = range->items[0];
    *start = range->items[1]->i;
    const tl_pickle *text = (*source)->items[0];
    return text->kind == TL_PICKLE_TEXT ? text->s.n > 0 : is_tuple(text, 1);
}

/* The last record at or before offset that says something, not before the statement if possible. */
static const tl_pickle *find_record(const debug_table *table, uint32_t offset)
{
    size_t lo = 0, hi = table->records->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (record_offset(table->records->items[mid]) <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    const tl_pickle *source;
    int64_t start;
    for (; lo > 0; lo--)
        if (record_range(table->records->items[lo - 1], &source, &start))
            return table->records->items[lo - 1];
    return NULL;
}

/* ---- texts ---- */

static tl_str shared_text(const debug_table *table, const tl_pickle *id)
{
    if (id->kind == TL_PICKLE_TEXT)
        return id->s;
    if (!table->texts || !is_int(id) || id->i < 0 || (uint64_t)id->i >= table->texts->n ||
        table->texts->items[id->i]->kind != TL_PICKLE_TEXT)
        return TL_STR("");
    return table->texts->items[id->i]->s;
}

static tl_str source_text(script_eval *ev, const debug_table *table, const tl_pickle *source)
{
    const tl_pickle *lines = source->items[0];
    tl_text text;
    if (lines->kind == TL_PICKLE_TEXT)
        return lines->s;
    tl_text_init(&text, ev->arena);
    for (size_t i = 0; i < lines->n; i++)
        tl_text_add_str(&text, shared_text(table, lines->items[i]));
    return (tl_str){tl_text_get(&text), text.n};
}

static bool contains(tl_str s, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, part, n) == 0)
            return true;
    return false;
}

static tl_str trim(tl_str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (tl_str){s.p + 1, s.n - 1};
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* ---- frames ---- */

typedef struct frame_list {
    tl_str user[MAX_FRAMES], library[MAX_FRAMES];
    size_t n_user, n_library;
} frame_list;

/* Calls on the way from a module to its forward say nothing. */
static void add_frame(frame_list *frames, tl_str path, const char *text)
{
    bool library = tl_traceback_is_library(path);
    if (contains(path, "/torch/nn/modules/module.py"))
        return;
    size_t *n = library ? &frames->n_library : &frames->n_user;
    if (text && *n < MAX_FRAMES)
        (library ? frames->library : frames->user)[(*n)++] = tl_str_from(text);
}

/* PATH(LINE): FUNCTION of a traced module's call stack. */
static bool split_traced(tl_str line, tl_str *path, tl_str *number, tl_str *function)
{
    size_t close = line.n;
    while (close > 0 && !(line.p[close - 1] == ')' && close < line.n && line.p[close] == ':'))
        close--;
    size_t open = close;
    while (open > 0 && line.p[open - 1] != '(')
        open--;
    if (close == 0 || open == 0)
        return false;
    *path = (tl_str){line.p, open - 1};
    *number = (tl_str){line.p + open, close - 1 - open};
    *function = trim((tl_str){line.p + close + 1, line.n - close - 1});
    int64_t value;
    return tl_str_to_i64(*number, &value);
}

/* Innermost first, up to where the tracer was called. */
static bool add_traced(script_eval *ev, frame_list *frames, tl_str text)
{
    tl_str line, path, number, function, rest = text;
    bool any = false;
    while (tl_str_split(&rest, '\n', &line) && split_traced(line, &path, &number, &function)) {
        any = true;
        if (contains(path, "torch/jit/_trace.py"))
            break;
        add_frame(frames, path,
                  tl_arena_printf(ev->arena, "%.*s:%.*s, in %.*s", TL_STR_ARG(path),
                                  TL_STR_ARG(number), TL_STR_ARG(function)));
    }
    return any;
}

/* Net of __torch__.net.___torch_mangle_3.Net */
static tl_str last_part(tl_str name)
{
    size_t dot = name.n;
    while (dot > 0 && name.p[dot - 1] != '.')
        dot--;
    return (tl_str){name.p + dot, name.n - dot};
}

static void add_scripted(script_eval *ev, frame_list *frames, const script_frame *frame,
                         tl_str path, int64_t line, tl_str text, int64_t start)
{
    size_t at = (size_t)TL_MIN(TL_MAX(start, 0), (int64_t)text.n), begin = at, end = at;
    for (size_t i = 0; i < at; i++)
        line += text.p[i] == '\n';
    while (begin > 0 && text.p[begin - 1] != '\n')
        begin--;
    while (end < text.n && text.p[end] != '\n')
        end++;
    tl_str code = trim((tl_str){text.p + begin, end - begin});
    tl_str class = frame->self ? last_part(frame->self->name) : TL_STR("");
    add_frame(frames, path,
              tl_arena_printf(ev->arena, "%.*s:%lld, in %.*s%s%.*s: %.*s", TL_STR_ARG(path),
                              (long long)line, TL_STR_ARG(class), class.n ? "." : "",
                              TL_STR_ARG(frame->function->name), TL_STR_ARG(code)));
}

/* False when the frame's own record names the callers as well. */
static bool add_frames_of(script_eval *ev, frame_list *frames, const script_frame *frame)
{
    const debug_table *table = find_table(ev, frame->function->file);
    const tl_pickle *record = table ? find_record(table, frame->expr) : NULL, *source;
    int64_t start;
    if (!record || !record_range(record, &source, &start))
        return true;
    tl_str text = source_text(ev, table, source);
    if (add_traced(ev, frames, text))
        return false;
    tl_str path = shared_text(table, source->items[1]);
    if (path.n && is_int(source->items[2]))
        add_scripted(ev, frames, frame, path, source->items[2]->i, text, start);
    return true;
}

/* Without debug tables: the place in the archive's code. */
static void add_code_frame(script_eval *ev, frame_list *frames)
{
    const script_frame *f = ev->frame;
    while (f && !f->function)
        f = f->caller;
    if (f)
        add_frame(frames, f->function->file->path,
                  tl_arena_printf(
                      ev->arena, "%.*s:%d, in %.*s", TL_STR_ARG(f->function->file->path),
                      script_line_of(f->function->file, f->expr), TL_STR_ARG(f->function->name)));
}

/* ---- for the evaluator ---- */

tl_str script_module(const script_eval *ev)
{
    for (const script_frame *f = ev->frame; f; f = f->caller)
        if (f->self)
            return f->self->path;
    return TL_STR("");
}

const tl_origin *script_origin(script_eval *ev, tl_str op)
{
    frame_list frames = {0};
    tl_str module = script_module(ev), target = TL_STR("");
    for (const script_frame *f = ev->frame; f; f = f->caller)
        if (f->function && !add_frames_of(ev, &frames, f))
            break;
    if (!frames.n_user && !frames.n_library)
        add_code_frame(ev, &frames);
    if (ev->frame)
        target = ev->frame->target;
    const char *node = tl_arena_printf(ev->arena, "%.*s%s%.*s", TL_STR_ARG(module),
                                       module.n && target.n ? "/" : "", TL_STR_ARG(target));
    tl_origin origin = {.node = tl_str_from(node),
                        .op = op,
                        .module = module,
                        .frames = frames.n_user ? frames.user : frames.library,
                        .n_frames = frames.n_user ? frames.n_user : frames.n_library};
    return tl_origin_make(ev->model, &origin);
}

void script_fail(script_eval *ev, tl_code code, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    tl_where where = tl_origin_where(ev->model, script_origin(ev, TL_STR("")));
    (void)tl_fail(ev->cx, code, &where, "%s", what);
}

void script_warn(script_eval *ev, tl_code code, const tl_origin *origin, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    tl_where where = tl_origin_where(ev->model, origin);
    tl_warn(ev->cx, code, &where, "%s", what);
}
