#include "base/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/os.h"

static tl_context *cx;
static test_heap heap = {.fail_after = -1};
static char folder[64], previous[4096];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tolite_io_test.XXXXXX");
    if (!mkdtemp(folder) || !getcwd(previous, sizeof previous) || chdir(folder))
        return -1;
    heap.used = 0;
    cx = tl_context_create(test_alloc, &heap);
    return 0;
}

/* Whatever a test did: no temporary file stays behind. */
static int teardown(void **state)
{
    (void)state;
    tl_context_destroy(cx);
    assert_int_equal(heap.used, 0);
    char command[128];
    snprintf(command, sizeof command, "ls -A %s | grep -q tolite-", folder);
    assert_int_not_equal(system(command), 0);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    return chdir(previous);
}

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    fclose(f);
}

static const char *content(const char *path)
{
    static char text[1000];
    FILE *f = fopen(path, "rb");
    if (!f)
        return "(none)";
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

static const char *said(void)
{
    if (!cx->diags.n)
        return "(nothing)";
    tl_text text;
    tl_text_init(&text, &cx->arena);
    tl_diag_print(tl_vec_last(&cx->diags), &text);
    return tl_text_get(&text);
}

static void reads_ranges(void **state)
{
    (void)state;
    put_file("a", "0123456789");
    for (int i = 0; i < 2; i++) {
        tl_file *file;
        char text[11] = "";
        if (i)
            assert_int_equal(tl_file_open_memory(cx, "a", "0123456789", 10, &file), TL_OK);
        else
            assert_int_equal(tl_file_open(cx, "a", &file), TL_OK);
        assert_string_equal(tl_file_name(file), "a");
        assert_int_equal(tl_file_size(file), 10);
        assert_int_equal(tl_file_read(cx, file, 7, text, 3), TL_OK);
        assert_string_equal(text, "789");
        assert_int_equal(tl_file_read(cx, file, 10, text, 0), TL_OK);
        assert_int_equal(tl_file_read(cx, file, 8, text, 3), TL_MALFORMED);
        assert_string_equal(said(), "a: the file ends too early, expected 3 bytes at offset 8, found 2");
        assert_int_equal(tl_file_read(cx, file, UINT64_MAX, text, SIZE_MAX), TL_MALFORMED);
        assert_int_equal(tl_file_same_as_path(file, "./a"), i == 0);
        assert_false(tl_file_same_as_path(file, "b"));
        tl_file_unref(tl_file_ref(file));
        assert_int_equal(tl_file_size(file), 10);
        tl_file_unref(file);
        tl_context_reset(cx);
    }
}

static void a_file_that_shrinks_is_an_error(void **state)
{
    (void)state;
    put_file("a", "0123456789");
    tl_file *file;
    char text[10];
    tl_file_open(cx, "a", &file);
    put_file("a", "0123");
    assert_int_equal(tl_file_read(cx, file, 0, text, 10), TL_ENVIRONMENT);
    assert_string_equal(said(), "a: cannot read: it became shorter while it was read");
    tl_file_unref(file);
}

static void what_cannot_be_opened(void **state)
{
    (void)state;
    mkdir("dir", 0777);
    mkfifo("pipe", 0666);
    put_file("a", "x");
    static const char *const cases[][2] = {
        {"missing", "missing: cannot read: No such file or directory"},
        {"", "cannot read: No such file or directory"},
        {"dir", "dir: cannot read: it is a directory"},
        {"pipe", "pipe: cannot read: it is a pipe, not a regular file"},
        {"/dev/null", "/dev/null: cannot read: it is not a regular file"},
        {"a/b", "a/b: cannot read: Not a directory"},
    };
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        tl_file *file;
        assert_int_equal(tl_file_open(cx, cases[i][0], &file), TL_ENVIRONMENT);
        assert_null(file);
        assert_string_equal(said(), cases[i][1]);
    }
}

static void commit_replaces_and_abort_does_not(void **state)
{
    (void)state;
    put_file("old", "before");
    chmod("old", 0640);
    for (int sync = 0; sync < 2; sync++) {
        tl_out *out;
        assert_int_equal(tl_out_open(cx, "old", &out), TL_OK);
        assert_int_equal(tl_out_write(out, "after", 5), TL_OK);
        assert_string_equal(content("old"), sync ? "after" : "before");
        assert_int_equal(tl_out_commit(out, sync), TL_OK);
        assert_string_equal(content("old"), "after");
        struct stat info;
        stat("old", &info);
        assert_int_equal(info.st_mode & 07777, 0640);
        assert_int_equal(tl_out_open(cx, "old", &out), TL_OK);
        tl_out_write(out, "never", 5);
        tl_out_abort(out);
        assert_string_equal(content("old"), "after");
    }
    mode_t mask = umask(027);
    tl_out *out;
    struct stat info;
    assert_int_equal(tl_out_open(cx, "./new", &out), TL_OK);
    assert_int_equal(tl_out_commit(out, true), TL_OK);
    umask(mask);
    assert_int_equal(stat("new", &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_int_equal(info.st_size, 0);
}

static void a_link_stays_a_link(void **state)
{
    (void)state;
    mkdir("there", 0777);
    put_file("there/target", "before");
    assert_int_equal(symlink("there/target", "link"), 0);
    tl_out *out;
    assert_int_equal(tl_out_open(cx, "link", &out), TL_OK);
    tl_out_write(out, "after", 5);
    assert_int_equal(tl_out_commit(out, false), TL_OK);
    struct stat info;
    lstat("link", &info);
    assert_true(S_ISLNK(info.st_mode));
    assert_string_equal(content("there/target"), "after");
}

static void targets_that_cannot_be_written(void **state)
{
    (void)state;
    mkdir("dir", 0777);
    static const char *const cases[][2] = {
        {"dir", "dir: cannot write: it is a directory"},
        {"dir/", "dir/: cannot write: it names a directory"},
        {"", "cannot write: the name is empty"},
        {"no/such", "no/such: cannot create a file in its folder: No such file or directory"},
    };
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        tl_out *out;
        assert_int_equal(tl_out_open(cx, cases[i][0], &out), TL_ENVIRONMENT);
        assert_null(out);
        assert_string_equal(said(), cases[i][1]);
        assert_int_equal(tl_vec_last(&cx->diags)->code, TL_E002);
    }
}

static void devices_are_written_in_place(void **state)
{
    (void)state;
    struct stat before, after;
    stat("/dev/null", &before);
    tl_out *out;
    assert_int_equal(tl_out_open(cx, "/dev/null", &out), TL_OK);
    assert_int_equal(tl_out_zeros(out, 1000000), TL_OK);
    assert_int_equal(tl_out_patch(out, 5, "x", 1), TL_OK);
    assert_int_equal(tl_out_commit(out, true), TL_OK);
    stat("/dev/null", &after);
    assert_true(S_ISCHR(after.st_mode) && before.st_ino == after.st_ino);
    if (access("/dev/full", W_OK))
        return;
    assert_int_equal(tl_out_open(cx, "/dev/full", &out), TL_OK);
    assert_int_equal(tl_out_write(out, "x", 1), TL_OK);
    assert_int_equal(tl_out_commit(out, false), TL_ENVIRONMENT);
    assert_string_equal(said(), "/dev/full: cannot write: No space left on device");
}

static void read_pipe(void *arg)
{
    char *text = arg;
    int fd = open("pipe", O_RDONLY);
    ssize_t n;
    while ((n = read(fd, text, 100)) > 0)
        text += n;
    close(fd);
}

static void pipes_get_the_patched_bytes(void **state)
{
    (void)state;
    mkfifo("pipe", 0666);
    char text[200] = "";
    tl_thread *reader = tl_os_thread_start(read_pipe, text);
    tl_out *out;
    assert_int_equal(tl_out_open(cx, "pipe", &out), TL_OK);
    tl_out_write(out, "hello world", 11);
    tl_out_patch(out, 0, "J", 1);
    assert_int_equal(tl_out_commit(out, false), TL_OK);
    tl_os_thread_join(reader);
    assert_string_equal(text, "Jello world");
    struct stat info;
    stat("pipe", &info);
    assert_true(S_ISFIFO(info.st_mode));
}

/* Both kinds of output against an array, with parts around the size of the buffer. */
static void writes_zeros_patches(void **state)
{
    (void)state;
    static uint8_t model[3000000], back[3000000], part[700000];
    for (size_t i = 0; i < sizeof part; i++)
        part[i] = (uint8_t)(i * 31 + (i >> 8));
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        tl_arena arena;
        tl_arena_init(&arena, cx);
        tl_out *out;
        size_t n = 0;
        assert_int_equal(in_memory ? tl_out_open_memory(cx, &arena, &out) : tl_out_open(cx, "big", &out), TL_OK);
        memset(model, 0, sizeof model);
        static const size_t sizes[] = {1, 262143, 0, 262144, 262145, 5, 700000, 3, 400000, 4096};
        for (size_t i = 0; i < TL_COUNT(sizes); i++) {
            memcpy(model + n, part, sizes[i]);
            assert_int_equal(tl_out_write(out, part, sizes[i]), TL_OK);
            n += sizes[i];
            assert_int_equal(tl_out_zeros(out, 10000), TL_OK);
            n += 10000;
            assert_int_equal(tl_out_size(out), n);
            size_t at = n / 3 * 2, size = n - at;
            size = TL_MIN(size, 300000);
            memcpy(model + at, part + 7, size);
            assert_int_equal(tl_out_patch(out, at, part + 7, size), TL_OK);
            assert_int_equal(tl_out_patch(out, n, NULL, 0), TL_OK);
        }
        if (in_memory) {
            size_t size;
            assert_memory_equal(tl_out_memory(out, &size), model, n);
            assert_int_equal(size, n);
            assert_int_equal(tl_out_commit(out, false), TL_OK);
        } else {
            tl_file *file;
            assert_int_equal(tl_out_reopen(out, &file), TL_OK);
            assert_int_equal(tl_file_size(file), n);
            assert_int_equal(tl_out_write(out, "x", 1), TL_OK);
            assert_int_equal(tl_out_commit(out, false), TL_OK);
            assert_int_equal(tl_file_read(cx, file, 0, back, n), TL_OK); /* still readable */
            assert_memory_equal(back, model, n);
            assert_true(tl_file_same_as_path(file, "big"));
            tl_file_unref(file);
        }
        tl_arena_release(&arena);
    }
}

static void offsets_beyond_4_gib(void **state)
{
    (void)state;
    int fd = open("sparse", O_CREAT | O_RDWR, 0666);
    const off_t at = ((off_t)5 << 30) + 3;
    assert_int_equal(pwrite(fd, "end", 3, at), 3);
    close(fd);
    tl_file *file;
    char text[4] = "";
    assert_int_equal(tl_file_open(cx, "sparse", &file), TL_OK);
    assert_true(tl_file_size(file) == (uint64_t)at + 3);
    assert_int_equal(tl_file_read(cx, file, (uint64_t)at, text, 3), TL_OK);
    assert_string_equal(text, "end");
    tl_file_unref(file);
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    put_file("a", "before");
    for (long n = 1;; n++) {
        test_heap own = {.fail_after = n};
        tl_context *other = tl_context_create(test_alloc, &own);
        tl_arena arena;
        tl_arena_init(&arena, other);
        bool whole = true;
        tl_file *file = NULL;
        tl_out *out = NULL;
        size_t size;
        whole &= tl_file_open(other, "a", &file) == TL_OK;
        tl_file_unref(file);
        whole &= tl_out_open_memory(other, &arena, &out) == TL_OK;
        if (out) {
            whole &= tl_out_zeros(out, 100000) == TL_OK;
            whole &= tl_out_memory(out, &size) != NULL;
            whole &= tl_out_commit(out, false) == TL_OK;
        }
        whole &= tl_out_open(other, "a", &out) == TL_OK;
        if (out)
            whole &= tl_out_commit(out, true) == TL_OK;
        assert_int_equal(whole, tl_context_status(other) == TL_OK);
        assert_string_equal(content("a"), out ? "" : "before");
        put_file("a", "before");
        tl_arena_release(&arena);
        tl_context_destroy(other);
        assert_int_equal(own.used, 0);
        if (whole)
            break;
    }
}

#define IO_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IO_TEST(reads_ranges),
        IO_TEST(a_file_that_shrinks_is_an_error),
        IO_TEST(what_cannot_be_opened),
        IO_TEST(commit_replaces_and_abort_does_not),
        IO_TEST(a_link_stays_a_link),
        IO_TEST(targets_that_cannot_be_written),
        IO_TEST(devices_are_written_in_place),
        IO_TEST(pipes_get_the_patched_bytes),
        IO_TEST(writes_zeros_patches),
        IO_TEST(offsets_beyond_4_gib),
        IO_TEST(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
