/* tolite calibrate, and the samples that it shares with convert and quantize. */
#include "cli/cli.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- paths ---- */

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    if (n < m)
        return false;
    for (size_t i = 0; i < m; i++)
        if ((path[n - m + i] | 0x20) != ending[i]) /* endings are lower case letters and a dot */
            return false;
    return true;
}

static bool is_arrays(const char *path)
{
    return ends_in(path, ".npz") || ends_in(path, ".npy");
}

static bool is_picture(const char *path)
{
    return ends_in(path, ".png") || ends_in(path, ".jpg") || ends_in(path, ".jpeg");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct sampling {
    cli *c;
    tl_network *network;
    tl_statistics *statistics;
    tl_picture_options pictures;
    long left; /* samples that may still come; < 0: any number */
    long n;    /* how many came */
    enum { COUNT_ALL, HOLD_SOME, HOLD_ALL } what;
} sampling;

static tl_status take_path(sampling *s, const char *path);

/* The arrays and pictures in a folder, by name. */
static tl_status take_folder(sampling *s, const char *folder)
{
    DIR *dir = opendir(folder);
    const char **names = NULL;
    size_t n = 0, room = 0;
    if (!dir)
        return cli_error(TL_ENVIRONMENT, "%s: cannot read the folder", folder);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (!is_arrays(entry->d_name) && !is_picture(entry->d_name))
            continue;
        if (n == room) {
            const char **more = cli_alloc((room = 2 * room + 64) * sizeof *more);
            if (n)
                memcpy(more, names, n * sizeof *more);
            names = more;
        }
        char *path = cli_alloc(strlen(folder) + strlen(entry->d_name) + 2);
        strcat(strcat(strcpy(path, folder), "/"), entry->d_name);
        names[n++] = path;
    }
    closedir(dir);
    if (n == 0)
        return cli_usage(
            "--samples %s: the folder holds no pictures (png, jpg) and no arrays (npz, npy)",
            folder);
    qsort(names, n, sizeof *names, compare_names);
    tl_status status = TL_OK;
    for (size_t i = 0; i < n && status == TL_OK && s->left; i++)
        status = take_path(s, names[i]);
    return status;
}

#define EVERY     4  /* of --samples is held out where --held-out says nothing, */
#define MOST_HELD 32 /* ... up to so many, which are kept in memory */

/* Every fourth sample is held out, one at least where there are two. */
static tl_status share_out(sampling *s, const tl_arrays *arrays)
{
    tl_status status = TL_OK;
    int64_t seen = 1;
    for (int64_t i = 0; seen && s->left && status == TL_OK; i++) {
        bool held = s->n % EVERY == 1 && s->n / EVERY < MOST_HELD;
        status = held ? tl_statistics_hold_out(s->statistics, arrays, false, i, 1, &seen)
                      : tl_statistics_observe(s->statistics, arrays, false, i, 1, &seen);
        s->n += (long)seen;
        s->left -= s->left > 0 ? (long)seen : 0;
    }
    return status;
}

static tl_status observe(sampling *s, const tl_arrays *arrays)
{
    int64_t seen = 0;
    bool steps = cli_has(s->c, OPT_steps);
    if (s->what == HOLD_SOME)
        return share_out(s, arrays);
    tl_status status = s->what == HOLD_ALL
                           ? tl_statistics_hold_out(s->statistics, arrays, steps, 0, s->left, &seen)
                           : tl_statistics_observe(s->statistics, arrays, steps, 0, s->left, &seen);
    s->left -= s->left > 0 ? (long)seen : 0;
    return status;
}

static tl_status take_file(sampling *s, const char *path)
{
    tl_arrays *arrays = NULL;
    tl_status status = is_picture(path) ? tl_arrays_new(s->c->cx, &arrays)
                                        : tl_arrays_read(s->c->cx, path, &arrays);
    if (status == TL_OK && is_picture(path))
        status = tl_arrays_add_pictures(arrays, s->network, 0, &path, 1, &s->pictures);
    if (status == TL_OK)
        status = observe(s, arrays);
    tl_arrays_free(arrays);
    return status;
}

static tl_status take_random(sampling *s)
{
    long seed = 1, n = s->left < 0 ? 8 : s->left;
    tl_status status = cli_int(s->c, OPT_seed, 0, 1000000000, &seed);
    return status == TL_OK ? tl_statistics_observe_random(s->statistics, (uint64_t)seed, n)
                           : status;
}

/* The inputs that the model was exported with. */
static tl_status take_held(sampling *s)
{
    tl_arrays *arrays = NULL;
    bool complete = false;
    tl_status status = tl_arrays_new(s->c->cx, &arrays);
    if (status == TL_OK)
        status = tl_arrays_add_samples(arrays, s->network, &complete);
    if (status == TL_OK && !complete)
        status = cli_usage("--samples model: the file holds no sample inputs that fit the model; a .pt2 file does, "
                           "of the shapes it was exported with");
    if (status == TL_OK)
        status = observe(s, arrays);
    tl_arrays_free(arrays);
    return status;
}

static tl_status take_path(sampling *s, const char *path)
{
    struct stat about;
    if (!strcmp(path, "random"))
        return take_random(s);
    if (!strcmp(path, "model"))
        return take_held(s);
    if (!stat(path, &about) && S_ISDIR(about.st_mode))
        return take_folder(s, path);
    return take_file(s, path);
}

/* ---- statistics ---- */

static tl_status collect(sampling *s)
{
    const cli_values *samples = &s->c->args.options[OPT_samples];
    const cli_values *stats = &s->c->args.options[OPT_stats];
    long most = s->left;
    tl_status status = cli_int(s->c, OPT_limit, 1, 1000000000, &s->left);
    if (most > 0 && s->left > most)
        s->left = most;
    if (status == TL_OK)
        status = cli_picture_options(s->c, &s->pictures);
    for (size_t i = 0; i < stats->n && status == TL_OK; i++)
        status = tl_statistics_read(s->statistics, stats->v[i]);
    const cli_values *held = &s->c->args.options[OPT_held_out];
    bool share = cli_has(s->c, OPT_keep_accuracy) && held->n == 0;
    if (share && cli_has(s->c, OPT_steps))
        return cli_usage("--keep-accuracy of successive calls: expected --held-out PATH... with "
                         "calls of their own");
    s->what = share ? HOLD_SOME : COUNT_ALL;
    for (size_t i = 0; i < samples->n && status == TL_OK && s->left; i++)
        status = take_path(s, samples->v[i]);
    s->what = HOLD_ALL;
    s->left = -1;
    for (size_t i = 0; i < held->n && status == TL_OK; i++)
        status = take_path(s, held->v[i]);
    return status;
}

tl_status cli_statistics(cli *c, tl_network *network, const tl_convert_options *options,
                         tl_statistics **out)
{
    sampling s = {.c = c, .network = network, .left = -1};
    *out = NULL;
    if (!cli_has(c, OPT_samples) && !cli_has(c, OPT_stats))
        return TL_OK;
    tl_status status = tl_statistics_new(network, options, &s.statistics);
    if (status == TL_OK)
        status = collect(&s);
    if (status == TL_OK)
        *out = s.statistics;
    else
        tl_statistics_free(s.statistics);
    return status;
}

#define MOST_KEPT       128
#define MOST_KEPT_BYTES ((size_t)256 << 20)

tl_status cli_kept_samples(cli *c, tl_network *network, const tl_convert_options *options,
                           tl_statistics **out)
{
    sampling s = {.c = c, .network = network, .left = MOST_KEPT};
    tl_convert_options whole = *options;
    *out = NULL;
    if ((!options->prune && !options->cluster) || !cli_has(c, OPT_samples))
        return TL_OK;
    whole.prune = whole.cluster = NULL;
    whole.n_prune_layers = 0;
    tl_status status = tl_statistics_new(network, &whole, &s.statistics);
    if (status == TL_OK) {
        tl_statistics_keep(s.statistics, MOST_KEPT_BYTES);
        status = collect(&s);
    }
    cli_diagnostics(c, status, true);
    if (status == TL_OK)
        *out = s.statistics;
    else
        tl_statistics_free(s.statistics);
    return status;
}

static tl_status calibrate(cli *c, tl_network *network, const char *out)
{
    tl_convert_options options;
    tl_statistics *statistics = NULL;
    tl_status status = cli_convert_options(c, &options);
    if (status == TL_OK)
        status = cli_statistics(c, network, &options, &statistics);
    if (status == TL_OK)
        status = tl_statistics_write(statistics, out);
    if (status == TL_OK && cli_has(c, OPT_json)) {
        printf("{\"file\":");
        cli_json_string(out);
        printf(",\"samples\":%llu,\"warnings\":[",
               (unsigned long long)tl_statistics_samples(statistics));
        for (size_t i = 0; i < tl_diagnostics_count(c->cx); i++) {
            fputs(i ? "," : "", stdout);
            cli_json_string(tl_diagnostics_get(c->cx, i).what);
        }
        puts("]}");
    } else if (status == TL_OK) {
        cli_say(c, "%s: statistics of %llu samples\n", out,
                (unsigned long long)tl_statistics_samples(statistics));
    }
    tl_statistics_free(statistics);
    return status;
}

tl_status cmd_calibrate(cli *c)
{
    const char *in = c->args.operands[0];
    const char *out =
        cli_has(c, OPT_out_file) ? cli_value(c, OPT_out_file) : cli_default_output(in, ".stats");
    tl_network *network = NULL;
    if (!cli_has(c, OPT_samples) && !cli_has(c, OPT_stats))
        return cli_usage(
            "no samples, expected --samples PATH... with npz files, pictures or folders of "
            "them, or --stats to merge");
    tl_status status = cli_open(c, in, &network);
    if (status == TL_OK)
        status = calibrate(c, network, out);
    tl_close(network);
    return status;
}
