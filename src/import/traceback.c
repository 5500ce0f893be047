#include "import/traceback.h"

#include <string.h>

typedef struct trace_frame {
    tl_str text;
    bool is_torch, is_library;
} trace_frame;

size_t tl_traceback_find(tl_str s, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, text, n) == 0)
            return i;
    return s.n;
}

static bool is_torch(tl_str path)
{
    return tl_traceback_find(path, "/torch/") < path.n || tl_str_starts(path, "torch/");
}

bool tl_traceback_is_library(tl_str path)
{
    return is_torch(path) || tl_traceback_find(path, "-packages/") < path.n;
}

static tl_str without_space(tl_str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (tl_str){s.p + 1, s.n - 1};
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* The line  File "net.py", line 88, in forward  as net.py:88, in forward. False for other lines. */
static bool read_frame_line(tl_arena *arena, tl_str line, trace_frame *frame)
{
    size_t begin = tl_traceback_find(line, "File \"");
    if (begin == line.n)
        return false;
    tl_str path = {line.p + begin + 6, line.n - begin - 6};
    size_t end = tl_traceback_find(path, "\", line ");
    if (end == path.n)
        return false;
    tl_str rest = {path.p + end + 8, path.n - end - 8};
    path.n = end;
    frame->is_torch = is_torch(path);
    frame->is_library = tl_traceback_is_library(path);
    frame->text =
        tl_str_from(tl_arena_printf(arena, "%.*s:%.*s", TL_STR_ARG(path), TL_STR_ARG(rest)));
    return true;
}

size_t tl_traceback_read(tl_arena *arena, tl_str trace, tl_str *frames)
{
    trace_frame kept[TL_TRACEBACK_MAX], frame = {.is_torch = true};
    bool only_library = true, has_code = true;
    size_t n = 0, count = 0;
    tl_str line;
    while (tl_str_split(&trace, '\n', &line)) {
        if (read_frame_line(arena, line, &frame)) {
            has_code = false;
            if (frame.is_torch)
                continue;
            if (only_library && !frame.is_library)
                n = 0; /* what came before is of the library, too */
            only_library &= frame.is_library;
            if (only_library || !frame.is_library)
                kept[n++ % TL_TRACEBACK_MAX] = frame;
        } else if (!has_code && n && !frame.is_torch && (only_library || !frame.is_library)) {
            tl_str *text = &kept[(n - 1) % TL_TRACEBACK_MAX].text, code = without_space(line);
            *text = tl_str_from(
                tl_arena_printf(arena, "%.*s: %.*s", TL_STR_ARG(*text), TL_STR_ARG(code)));
            has_code = true;
        }
    }
    for (; count < TL_MIN(n, TL_TRACEBACK_MAX); count++)
        frames[count] = kept[(n - 1 - count) % TL_TRACEBACK_MAX].text;
    return count;
}
