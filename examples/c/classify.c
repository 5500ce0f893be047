/* Converts an ONNX classifier with libtolite, runs the result on pictures and prints the best class of each.
 *
 *     cc classify.c $(pkg-config --cflags --libs tolite) -o classify
 *     ./classify digits.onnx 0.png 1.png
 */
#include <stdio.h>

#include <tolite.h>

static int complain(tl_context *cx, tl_status status)
{
    for (size_t i = 0; i < tl_diagnostics_count(cx); i++)
        fprintf(stderr, "%s\n", tl_diagnostics_get(cx, i).text);
    return (int)status;
}

static void print_best(const tl_array *scores)
{
    const float *x = scores->data;
    int64_t n_classes = scores->shape[scores->rank - 1], rows = (int64_t)(scores->size / sizeof *x) / n_classes;
    for (int64_t row = 0; row < rows; row++, x += n_classes) {
        int64_t best = 0;
        for (int64_t k = 1; k < n_classes; k++)
            best = x[k] > x[best] ? k : best;
        printf("picture %d: class %d\n", (int)row, (int)best);
    }
}

static tl_status classify(tl_context *cx, const char *model, const char *const *pictures, size_t n)
{
    tl_network *source = NULL, *converted = NULL;
    tl_arrays *inputs = NULL;
    tl_runner *runner = NULL;
    const tl_arrays *outputs;
    const void *bytes;
    size_t size;
    tl_picture_options options;
    tl_picture_options_init(&options);

    tl_status status = tl_open(cx, model, NULL, &source);
    if (status == TL_OK)
        status = tl_convert_memory(source, NULL, &bytes, &size, NULL);
    if (status == TL_OK)
        status = tl_open_memory(cx, "converted", bytes, size, NULL, &converted);
    if (status == TL_OK)
        status = tl_arrays_new(cx, &inputs);
    if (status == TL_OK)
        status = tl_arrays_add_pictures(inputs, converted, 0, pictures, n, &options);
    if (status == TL_OK)
        status = tl_runner_new(converted, NULL, &runner);
    if (status == TL_OK)
        status = tl_run(runner, inputs, &outputs);
    if (status == TL_OK) {
        tl_array scores = tl_arrays_get(outputs, 0);
        print_best(&scores);
    }
    tl_runner_free(runner);
    tl_arrays_free(inputs);
    tl_close(converted);
    tl_close(source);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: classify MODEL.onnx PICTURE...\n");
        return 2;
    }
    tl_context *cx = tl_context_new(NULL);
    if (!cx)
        return 5;
    tl_status status = classify(cx, argv[1], (const char *const *)argv + 2, (size_t)argc - 2);
    int result = status == TL_OK ? 0 : complain(cx, status);
    tl_context_free(cx);
    return result;
}
