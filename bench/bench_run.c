/* bench_run MODEL THREADS RUNS [ROUNDING]: seconds to load and run once, median and least seconds of a run, bytes of memory;
 * on one line. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <tolite.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        return 2;
    tl_context_options options;
    tl_context_options_init(&options);
    options.threads = (int)strtol(argv[2], NULL, 10);
    int n = (int)strtol(argv[3], NULL, 10);
    tl_run_options run;
    tl_run_options_init(&run);
    run.rounding = argc > 4 ? argv[4] : NULL;
    tl_context *cx = tl_context_new(&options);
    tl_network *network = NULL;
    tl_arrays *inputs = NULL;
    tl_runner *runner = NULL;
    const tl_arrays *outputs;
    double start = seconds(), *times = calloc((size_t)n, sizeof *times);
    tl_status status = tl_open(cx, argv[1], NULL, &network);
    if (status == TL_OK)
        status = tl_arrays_new(cx, &inputs);
    if (status == TL_OK)
        status = tl_arrays_add_random(inputs, network, 1, 0);
    if (status == TL_OK)
        status = tl_runner_new(network, &run, &runner);
    if (status == TL_OK)
        status = tl_run(runner, inputs, &outputs);
    double first = seconds() - start;
    for (int i = 0; status == TL_OK && i < n; i++) {
        start = seconds();
        status = tl_run(runner, inputs, &outputs);
        times[i] = seconds() - start;
    }
    if (status != TL_OK) {
        for (size_t i = 0; i < tl_diagnostics_count(cx); i++)
            fprintf(stderr, "%s\n", tl_diagnostics_get(cx, i).text);
        return (int)status;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    qsort(times, (size_t)n, sizeof *times, by_value);
    printf("%.6f %.6f %.6f %ld\n", first, times[n / 2], times[0], usage.ru_maxrss * 1024);
    tl_runner_free(runner);
    tl_arrays_free(inputs);
    tl_close(network);
    tl_context_free(cx);
    free(times);
    return 0;
}
