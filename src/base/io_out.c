/* Output. A file: everything goes through a buffer to a temporary file in the target's folder,
 * which replaces the target on commit. A target that is a device or pipe: the same with a nameless
 * temporary file, which is copied on commit. Memory: a heap buffer. */
#define _FILE_OFFSET_BITS 64
#include <limits.h>

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/io_posix.h"
#include "base/os.h"

#define BUFFER_SIZE ((size_t)256 << 10)

struct tl_out {
    tl_context *cx;
    tl_arena arena; /* paths */
    tl_status status;
    uint8_t *buffer; /* the last n bytes; all of them when in memory */
    size_t n, cap;
    uint64_t flushed;
    int fd;                 /* -1: memory */
    int direct;             /* descriptor of a target that is written in place, else -1 */
    const char *path;       /* as given, for messages */
    const char *target;     /* links resolved */
    const char *temporary;  /* NULL: nameless */
    bool replaces;          /* a file was there before */
    struct stat old;        /* ... this one */
    tl_arena *memory_arena; /* where tl_out_memory copies to */
};

/* ---- errors ---- */

static tl_status cannot_write(tl_out *out, const char *what, const char *reason)
{
    tl_status status =
        tl_fail(out->cx, TL_E002, &(tl_where){.file = out->path}, "%s: %s", what, reason);
    if (out->status == TL_OK)
        out->status = status;
    return status;
}

static tl_status cannot_write_errno(tl_out *out, const char *what, int error)
{
    char reason[TL_REASON_SIZE];
    tl_system_reason(error, reason);
    return cannot_write(out, what, reason);
}

/* After a call that a signal interrupted: go on unless the user asked to stop. */
static tl_status interrupted(tl_out *out)
{
    tl_status status = tl_check_cancel(out->cx);
    if (status != TL_OK && out->status == TL_OK)
        out->status = status;
    return status;
}

/* ---- opening ---- */

static tl_out *out_new(tl_context *cx, size_t cap)
{
    tl_out *out = tl_mem_alloc(cx, sizeof *out);
    uint8_t *buffer = out ? tl_mem_alloc(cx, cap) : NULL;
    if (!buffer) {
        tl_mem_free(cx, out, sizeof *out);
        return NULL;
    }
    *out = (tl_out){.cx = cx, .buffer = buffer, .cap = cap, .fd = -1, .direct = -1};
    tl_arena_init(&out->arena, cx);
    return out;
}

static void out_free(tl_out *out)
{
    tl_context *cx = out->cx;
    if (out->fd >= 0)
        close(out->fd);
    if (out->direct >= 0)
        close(out->direct);
    tl_mem_free(cx, out->buffer, out->cap);
    tl_arena_release(&out->arena);
    tl_mem_free(cx, out, sizeof *out);
}

/* A device or pipe is opened right away, so that what cannot be written is known before the work.
 */
static tl_status open_direct(tl_out *out)
{
    do
        out->direct = open(out->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    while (out->direct < 0 && errno == EINTR && interrupted(out) == TL_OK);
    if (out->status != TL_OK)
        return out->status;
    if (out->direct < 0)
        return cannot_write_errno(out, "cannot write", errno);
    FILE *spool = tmpfile();
    if (spool) {
        out->fd = fcntl(fileno(spool), F_DUPFD_CLOEXEC, 0);
        fclose(spool);
    }
    return out->fd < 0 ? cannot_write_errno(out, "cannot create a temporary file", errno) : TL_OK;
}

static tl_status open_temporary(tl_out *out)
{
    const char *slash = strrchr(out->target, '/');
    int n_folder = slash ? (int)TL_MIN(slash - out->target + 1, INT_MAX) : 0;
    uint64_t seed = tl_hash_combine(tl_os_nanoseconds(), (uint64_t)getpid());
    for (int i = 0; i < 100; i++) {
        uint64_t tag = tl_hash_combine(seed, (uint64_t)i + (uintptr_t)out);
        char *path = tl_arena_printf(&out->arena, "%.*s.tolite-%016llx.tmp", n_folder, out->target,
                                     (unsigned long long)tag);
        if (!path)
            return out->status = TL_ENVIRONMENT;
        out->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
        if (out->fd >= 0) {
            out->temporary = path;
            return TL_OK;
        }
        if (errno != EEXIST && errno != EINTR)
            break;
    }
    return cannot_write_errno(out, "cannot create a file in its folder", errno);
}

/* Where the name leads through links: a link stays one, its target is replaced. */
static const char *resolve(tl_out *out)
{
    char *real = realpath(out->path, NULL);
    if (!real)
        return out->path;
    const char *copy = tl_arena_strndup(&out->arena, real, strlen(real));
    free(real);
    return copy;
}

static tl_status open_target(tl_out *out)
{
    size_t n = strlen(out->path);
    if (!n || out->path[n - 1] == '/')
        return cannot_write(out, "cannot write", n ? "it names a directory" : "the name is empty");
    out->replaces = !stat(out->path, &out->old);
    if (!out->replaces && errno != ENOENT)
        return cannot_write_errno(out, "cannot write", errno);
    if (!out->replaces) { /* a link that leads nowhere, too, is replaced */
        out->target = out->path;
        return open_temporary(out);
    }
    if (S_ISDIR(out->old.st_mode))
        return cannot_write(out, "cannot write", "it is a directory");
    if (!S_ISREG(out->old.st_mode))
        return open_direct(out);
    if (access(out->path, W_OK))
        return cannot_write_errno(out, "cannot write", errno);
    out->target = resolve(out);
    return out->target ? open_temporary(out) : (out->status = TL_ENVIRONMENT);
}

tl_status tl_out_open(tl_context *cx, const char *path, tl_out **result)
{
    *result = NULL;
    tl_out *out = out_new(cx, BUFFER_SIZE);
    if (!out)
        return TL_ENVIRONMENT;
    out->path = tl_arena_strndup(&out->arena, path, strlen(path));
    tl_status status = out->path ? open_target(out) : TL_ENVIRONMENT;
    if (status != TL_OK)
        out_free(out);
    else
        *result = out;
    return status;
}

tl_status tl_out_open_memory(tl_context *cx, tl_arena *arena, tl_out **result)
{
    *result = out_new(cx, 4096);
    if (!*result)
        return TL_ENVIRONMENT;
    (*result)->memory_arena = arena;
    (*result)->path = "memory";
    return TL_OK;
}

/* ---- writing ---- */

/* Writes all; offset -1 means where fd stands. */
static tl_status write_all(tl_out *out, int fd, const uint8_t *p, size_t size, off_t offset)
{
    while (size) {
        size_t part = TL_MIN(size, TL_MAX_TRANSFER);
        ssize_t n = offset < 0 ? write(fd, p, part) : pwrite(fd, p, part, offset);
        if (n < 0 && errno == EINTR) {
            TRY(interrupted(out));
            continue;
        }
        if (n <= 0)
            return cannot_write_errno(out, "cannot write", n ? errno : ENOSPC);
        p += n;
        size -= (size_t)n;
        offset += offset < 0 ? 0 : (off_t)n;
    }
    return TL_OK;
}

static tl_status flush(tl_out *out)
{
    TRY(out->status);
    TRY(write_all(out, out->fd, out->buffer, out->n, (off_t)out->flushed));
    out->flushed += out->n;
    out->n = 0;
    return TL_OK;
}

static tl_status grow_memory(tl_out *out, size_t more)
{
    size_t need, cap = out->cap;
    if (tl_add_size(out->n, more, &need)) {
        cap = TL_MAX(need, cap <= SIZE_MAX / 3 * 2 ? cap + cap / 2 : need);
        void *p = out->cx->alloc(out->cx->alloc_user, out->buffer, out->cap, cap);
        if (p) {
            out->buffer = p;
            out->cap = cap;
            return TL_OK;
        }
    }
    return out->status = tl_oom(out->cx);
}

tl_status tl_out_reserve(tl_out *out, uint64_t size)
{
    struct statvfs disk;
    TRY(out->status);
    if (out->fd < 0 || fstatvfs(out->fd, &disk) != 0 || !disk.f_frsize)
        return TL_OK;
    if (size / disk.f_frsize <= disk.f_bavail)
        return TL_OK;
    char reason[80];
    (void)snprintf(reason, sizeof reason, "%llu MB are needed, %llu MB are free on this disk",
                   (unsigned long long)(size >> 20),
                   (unsigned long long)(disk.f_bavail / 1024 * disk.f_frsize / 1024));
    return cannot_write(out, "cannot write", reason);
}

tl_status tl_out_write(tl_out *out, const void *data, size_t size)
{
    TRY(out->status);
    if (size > out->cap - out->n)
        TRY(out->fd < 0 ? grow_memory(out, size) : flush(out));
    if (size > out->cap - out->n) { /* larger than the whole buffer, which is empty now */
        TRY(write_all(out, out->fd, data, size, (off_t)out->flushed));
        out->flushed += size;
        return TL_OK;
    }
    if (size)
        memcpy(out->buffer + out->n, data, size);
    out->n += size;
    return TL_OK;
}

tl_status tl_out_zeros(tl_out *out, uint64_t size)
{
    static const uint8_t zeros[4096];
    for (; size > sizeof zeros; size -= sizeof zeros)
        TRY(tl_out_write(out, zeros, sizeof zeros));
    return tl_out_write(out, zeros, (size_t)size);
}

uint64_t tl_out_size(const tl_out *out)
{
    return out->flushed + out->n;
}

tl_status tl_out_patch(tl_out *out, uint64_t offset, const void *data, size_t size)
{
    TRY(out->status);
    TL_ASSERT(offset <= tl_out_size(out) && size <= tl_out_size(out) - offset);
    const uint8_t *p = data;
    if (offset < out->flushed) {
        size_t part = (size_t)TL_MIN(size, out->flushed - offset);
        TRY(write_all(out, out->fd, p, part, (off_t)offset));
        p += part;
        offset += part;
        size -= part;
    }
    if (size)
        memcpy(out->buffer + (offset - out->flushed), p, size);
    return TL_OK;
}

tl_status tl_out_reopen(tl_out *out, tl_file **file)
{
    *file = NULL;
    TL_ASSERT(out->fd >= 0);
    TRY(flush(out));
    int fd = fcntl(out->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return cannot_write_errno(out, "cannot reopen", errno);
    tl_status status = tl_file_adopt(out->cx, out->path, fd, file);
    if (status != TL_OK)
        close(fd);
    return status;
}

const void *tl_out_memory(const tl_out *out, size_t *size)
{
    TL_ASSERT(out->fd < 0);
    *size = 0;
    if (out->status != TL_OK)
        return NULL;
    void *copy = tl_arena_push_raw(out->memory_arena, out->n, 1);
    if (copy)
        memcpy(copy, out->buffer, *size = out->n);
    return copy;
}

/* ---- the end ---- */

static tl_status copy_to_direct(tl_out *out)
{
    uint64_t size = out->flushed;
    for (uint64_t at = 0; at < size;) {
        ssize_t n = pread(out->fd, out->buffer, (size_t)TL_MIN(size - at, out->cap), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return cannot_write_errno(out, "cannot read back the temporary file", n ? errno : EIO);
        TRY(write_all(out, out->direct, out->buffer, (size_t)n, -1));
        at += (uint64_t)n;
    }
    int fd = out->direct;
    out->direct = -1;
    return close(fd) && errno != EINTR ? cannot_write_errno(out, "cannot write", errno) : TL_OK;
}

static int sync_again(int fd)
{
    int result;
    do
        result = fsync(fd);
    while (result && errno == EINTR);
    return result;
}

static tl_status open_folder(tl_out *out, int *fd)
{
    const char *slash = strrchr(out->target, '/');
    size_t n = !slash ? 0 : TL_MAX((size_t)(slash - out->target), 1);
    const char *folder = n ? tl_arena_strndup(&out->arena, out->target, n) : ".";
    if (!folder)
        return out->status = TL_ENVIRONMENT;
    do
        *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (*fd < 0 && errno == EINTR && interrupted(out) == TL_OK);
    return *fd < 0 ? cannot_write_errno(out, "cannot open its folder", errno) : TL_OK;
}

/* The file that replaces another takes over its permissions and, where allowed, its owner. */
static tl_status take_permissions(tl_out *out)
{
    struct stat now;
    if (!out->replaces || fstat(out->fd, &now))
        return TL_OK;
    mode_t mode = out->old.st_mode & 07777;
    if ((now.st_uid != out->old.st_uid || now.st_gid != out->old.st_gid) &&
        fchown(out->fd, out->old.st_uid, out->old.st_gid))
        mode &= 0777; /* not ours to give: then without set-id bits */
    return fchmod(out->fd, mode) ? cannot_write_errno(out, "cannot set its permissions", errno)
                                 : TL_OK;
}

static tl_status replace_target(tl_out *out, bool sync)
{
    TRY(take_permissions(out));
    if (sync && sync_again(out->fd))
        return cannot_write_errno(out, "cannot make it durable", errno);
    int fd = out->fd;
    out->fd = -1;
    if (close(fd) && errno != EINTR) /* network file systems tell of a full disk here */
        return cannot_write_errno(out, "cannot write", errno);
    if (rename(out->temporary, out->target))
        return cannot_write_errno(out, "cannot put it in place", errno);
    out->temporary = NULL;
    return TL_OK;
}

/* The folder's entry is durable only when the folder itself is. */
static tl_status replace_durably(tl_out *out)
{
    int folder;
    TRY(open_folder(out, &folder));
    tl_status status = replace_target(out, true);
    /* some file systems refuse to sync a folder: there is nothing more that could be done */
    if (status == TL_OK && sync_again(folder) && errno != EINVAL)
        status = cannot_write_errno(out, "written, but its folder cannot be made durable", errno);
    close(folder);
    return status;
}

tl_status tl_out_commit(tl_out *out, bool sync)
{
    tl_status status = out->status;
    if (status == TL_OK && out->fd >= 0) {
        status = flush(out);
        if (status == TL_OK)
            status = out->direct >= 0 ? copy_to_direct(out)
                     : sync           ? replace_durably(out)
                                      : replace_target(out, false);
    }
    tl_out_abort(out);
    return status;
}

void tl_out_abort(tl_out *out)
{
    if (!out)
        return;
    if (out->temporary)
        unlink(out->temporary);
    out_free(out);
}
