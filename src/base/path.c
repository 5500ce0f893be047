/* The check is made on resolved paths, so links within the folder are fine. */
#include "base/path.h"

#include <errno.h>

static const char *error_text(int error)
{
    switch (error) {
    case ENOENT:
        return "no such file";
    case EACCES:
        return "permission denied";
    case ENOTDIR:
        return "a part of the path is not a folder";
    case ELOOP:
        return "too many symbolic links";
    case ENAMETOOLONG:
        return "the path is too long";
    default:
        return "cannot be opened";
    }
}

/* Why a path is refused before anything is looked at; NULL: it is fine. */
static const char *refusal(tl_str relative)
{
    if (!relative.n)
        return "no file is named";
    if (memchr(relative.p, 0, relative.n))
        return "the path contains a zero byte";
    if (relative.p[0] == '/')
        return "the path is absolute, expected one relative to the model";
    tl_str part;
    while (tl_str_split(&relative, '/', &part))
        if (tl_str_is(part, ".."))
            return "the path leaves the folder of the model";
    return NULL;
}

static bool lies_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    if (strcmp(folder, "/") == 0)
        return true;
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

const char *tl_path_inside(tl_arena *arena, const char *beside, tl_str relative,
                           const char **reason)
{
    *reason = refusal(relative);
    if (*reason)
        return NULL;
    const char *slash = strrchr(beside, '/');
    const char *folder =
        slash ? tl_arena_strndup(arena, beside, (size_t)(slash - beside) + 1) : "./";
    const char *joined =
        folder ? tl_arena_printf(arena, "%s%.*s", folder, TL_STR_ARG(relative)) : NULL;
    *reason = "out of memory";
    if (!joined)
        return NULL;
    char *real_folder = realpath(folder, NULL);
    char *real_path = real_folder ? realpath(joined, NULL) : NULL;
    const char *found = NULL;
    if (!real_path)
        *reason = error_text(errno);
    else if (!lies_in(real_path, real_folder))
        *reason = "a symbolic link leaves the folder of the model";
    else
        found = tl_arena_strndup(arena, real_path, strlen(real_path));
    free(real_path);
    free(real_folder);
    return found;
}
