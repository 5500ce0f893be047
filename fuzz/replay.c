/* Plays files and folders of files to a fuzz target once, without libFuzzer: replay PATH... */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

/* The mutators are linked but not called. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
    (void)data;
    return TL_MIN(size, max_size);
}

static int play_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat info;
    if (!f || fstat(fileno(f), &info)) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        return 1;
    }
    size_t size = (size_t)info.st_size;
    uint8_t *data = malloc(size + !size);
    bool whole = data && fread(data, 1, size, f) == size;
    fclose(f);
    if (whole)
        LLVMFuzzerTestOneInput(data, size);
    free(data);
    return !whole;
}

static int play(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return play_file(path);
    int failed = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char inside[4096];
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            failed |= play_file(inside);
    }
    closedir(folder);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= play(argv[i]);
    return failed;
}
