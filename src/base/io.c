/* Input by range: pread on a descriptor, or bytes of the caller. */
#define _FILE_OFFSET_BITS 64
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/io_posix.h"

struct tl_file {
    tl_context *cx;
    atomic_int n_refs;
    int fd;              /* -1: memory */
    const uint8_t *data; /* of a memory file */
    tl_file *whole;      /* of a part, else NULL */
    uint64_t offset;     /* ... where it begins there */
    uint64_t size;
    char *name; /* behind the struct */
};

void tl_system_reason(int error, char reason[TL_REASON_SIZE])
{
    if (strerror_r(error, reason, TL_REASON_SIZE))
        snprintf(reason, TL_REASON_SIZE, "system error %d", error);
}

static tl_status cannot_read(tl_context *cx, const char *path, const char *reason)
{
    return tl_fail(cx, TL_E001, &(tl_where){.file = path}, "cannot read: %s", reason);
}

static tl_status cannot_read_errno(tl_context *cx, const char *path, int error)
{
    char reason[TL_REASON_SIZE];
    tl_system_reason(error, reason);
    return cannot_read(cx, path, reason);
}

static size_t file_struct_size(const char *name)
{
    return sizeof(tl_file) + strlen(name) + 1;
}

static tl_file *file_new(tl_context *cx, const char *name)
{
    tl_file *file = tl_mem_alloc(cx, file_struct_size(name));
    if (!file)
        return NULL;
    file->cx = cx;
    file->fd = -1;
    file->name = (char *)(file + 1);
    memcpy(file->name, name, strlen(name) + 1);
    atomic_init(&file->n_refs, 1);
    return file;
}

/* NULL when fd can be read at random places, else what it is. */
static const char *why_not_regular(mode_t mode)
{
    if (S_ISREG(mode))
        return NULL;
    if (S_ISDIR(mode))
        return "it is a directory";
    return S_ISFIFO(mode) ? "it is a pipe, not a regular file" : "it is not a regular file";
}

tl_status tl_file_open(tl_context *cx, const char *path, tl_file **out)
{
    *out = NULL;
    int fd;
    do /* non-blocking: a pipe nobody writes to is refused, not waited for */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return cannot_read_errno(cx, path, errno);
    tl_status status = tl_file_adopt(cx, path, fd, out);
    if (status != TL_OK)
        close(fd);
    return status;
}

tl_status tl_file_adopt(tl_context *cx, const char *name, int fd, tl_file **out)
{
    struct stat info;
    if (fstat(fd, &info))
        return cannot_read_errno(cx, name, errno);
    const char *why_not = why_not_regular(info.st_mode);
    if (why_not)
        return cannot_read(cx, name, why_not);
    tl_file *file = file_new(cx, name);
    if (!file)
        return TL_ENVIRONMENT;
    file->fd = fd;
    file->size = (uint64_t)info.st_size;
    *out = file;
    return TL_OK;
}

tl_status tl_file_open_memory(tl_context *cx, const char *name, const void *data, size_t size,
                              tl_file **out)
{
    *out = file_new(cx, name);
    if (!*out)
        return TL_ENVIRONMENT;
    (*out)->data = data;
    (*out)->size = size;
    return TL_OK;
}

tl_status tl_file_open_part(tl_context *cx, const char *name, tl_file *whole, uint64_t offset,
                            uint64_t size, tl_file **out)
{
    *out = NULL;
    if (offset > whole->size || size > whole->size - offset)
        return tl_fail(cx, TL_M002, &(tl_where){.file = whole->name}, "%s lies outside of the file",
                       name);
    *out = file_new(cx, name);
    if (!*out)
        return TL_ENVIRONMENT;
    (*out)->whole = tl_file_ref(whole);
    (*out)->offset = offset;
    (*out)->size = size;
    return TL_OK;
}

tl_file *tl_file_ref(tl_file *file)
{
    atomic_fetch_add(&file->n_refs, 1);
    return file;
}

void tl_file_unref(tl_file *file)
{
    if (!file || atomic_fetch_sub(&file->n_refs, 1) > 1)
        return;
    if (file->fd >= 0)
        close(file->fd);
    tl_file_unref(file->whole);
    tl_mem_free(file->cx, file, file_struct_size(file->name));
}

const char *tl_file_name(const tl_file *file)
{
    return file->name;
}

bool tl_file_is_memory(const tl_file *file)
{
    return file->whole ? tl_file_is_memory(file->whole) : file->fd < 0;
}

uint64_t tl_file_size(const tl_file *file)
{
    return file->size;
}

bool tl_file_same_as_path(const tl_file *file, const char *path)
{
    struct stat a, b;
    if (file->whole)
        return tl_file_same_as_path(file->whole, path);
    return file->fd >= 0 && !fstat(file->fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

tl_status tl_file_read(tl_context *cx, tl_file *file, uint64_t offset, void *dst, size_t size)
{
    if (offset > file->size || size > file->size - offset)
        return tl_fail(cx, TL_M002, &(tl_where){.file = file->name},
                       "the file ends too early, expected %zu bytes at offset %llu, found %llu",
                       size, (unsigned long long)offset,
                       (unsigned long long)(offset < file->size ? file->size - offset : 0));
    if (file->whole)
        return tl_file_read(cx, file->whole, file->offset + offset, dst, size);
    if (file->fd < 0) {
        if (size)
            memcpy(dst, file->data + offset, size);
        return TL_OK;
    }
    for (uint8_t *p = dst; size;) {
        ssize_t n = pread(file->fd, p, TL_MIN(size, TL_MAX_TRANSFER), (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cannot_read_errno(cx, file->name, errno);
        if (n == 0)
            return cannot_read(cx, file->name, "it became shorter while it was read");
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return TL_OK;
}
