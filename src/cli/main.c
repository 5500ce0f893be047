/* tolite: the program. */
#include "cli/cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Set by the signal handler, polled by the library. A second signal ends the program at once. */
static volatile sig_atomic_t stop_signal;
static volatile int cancel;

static void on_signal(int number)
{
    stop_signal = number;
    cancel = 1;
    signal(number, SIG_DFL);
}

/* What the commands allocate lives as long as the program. */
typedef struct cli_block {
    struct cli_block *next;
    max_align_t data[];
} cli_block;

static cli_block *blocks;

void *cli_alloc(size_t size)
{
    cli_block *block = calloc(1, sizeof *block + size);
    if (!block) {
        fputs("tolite: out of memory\n", stderr);
        exit(TL_ENVIRONMENT);
    }
    block->next = blocks;
    blocks = block;
    return block->data;
}

static void free_blocks(void)
{
    while (blocks) {
        cli_block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

void cli_say(const cli *c, const char *format, ...)
{
    if (cli_has(c, OPT_quiet))
        return;
    va_list args;
    va_start(args, format);
    vfprintf(cli_has(c, OPT_json) ? stderr : stdout, format, args);
    va_end(args);
}

/* ---- errors ---- */

/* What the program itself had to say, for the document of --json; the last that there is room for. */
static struct {
    const char *v[8];
    size_t n;
} said;

tl_status cli_error(tl_status status, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = cli_alloc(n < 0 ? 1 : (size_t)n + 1);
    if (n > 0)
        vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    fprintf(stderr, "tolite: %s\n", text);
    if (said.n < sizeof said.v / sizeof *said.v)
        said.v[said.n++] = text;
    return status;
}

static void print_error(const char *code, const char *text, bool first)
{
    printf("%s{\"code\":", first ? "" : ",");
    cli_json_string(code);
    printf(",\"text\":");
    cli_json_string(text);
    putchar('}');
}

/* What stands in the way of the document that --json asks for. */
static void print_error_document(cli *c, tl_status status)
{
    bool first = true;
    c->answered = true;
    printf("{\"error\":{\"status\":%d,\"diagnostics\":[", (int)status);
    for (size_t i = 0; i < said.n; i++, first = false)
        print_error("", said.v[i], first);
    for (size_t i = 0; c->cx && i < tl_diagnostics_count(c->cx); i++) {
        tl_diagnostic d = tl_diagnostics_get(c->cx, i);
        if (d.status == TL_OK)
            continue;
        print_error(d.code, d.text, first);
        first = false;
    }
    puts("]}}");
}

#define NOTE_LINES 4 /* places of a note that are shown without --verbose */

/* A note and its places: lines that begin with two spaces, further lines of a place with four. */
static void print_note(const cli *c, const tl_diagnostic *d)
{
    size_t shown = 0;
    fprintf(stderr, "%s", c->color ? "\033[33m" : "");
    for (const char *line = d->text, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        shown += line != d->text && !strncmp(line, "  ", 2) && line[2] != ' ';
        if (shown > NOTE_LINES && !cli_has(c, OPT_verbose)) {
            fprintf(stderr, "  and %zu more; --verbose lists them\n", d->n_places - NOTE_LINES);
            break;
        }
        fprintf(stderr, "%.*s\n", (int)(end - line), line);
    }
    fprintf(stderr, "%s", c->color ? "\033[0m" : "");
}

void cli_diagnostics(cli *c, tl_status status, bool warnings)
{
    if (cli_has(c, OPT_json) && status >= TL_USAGE && !c->answered)
        print_error_document(c, status);
    for (size_t i = 0; i < tl_diagnostics_count(c->cx); i++) {
        tl_diagnostic d = tl_diagnostics_get(c->cx, i);
        if (d.status == TL_OK && (!warnings || cli_has(c, OPT_quiet)))
            continue;
        if (d.status == TL_OK)
            print_note(c, &d);
        else
            fprintf(stderr, "%s\n", d.text);
        if (d.status != TL_OK && d.code[0])
            fprintf(stderr, "  tolite explain %s\n", d.code);
    }
    tl_diagnostics_clear(c->cx);
}

const char *cli_bytes(double bytes, char *text)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    for (; bytes >= 1000 && unit < 4; unit++)
        bytes /= 1000;
    snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return text;
}

/* ---- progress ---- */

typedef struct progress_bar {
    struct timespec start;
    bool shown;
} progress_bar;

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) * 1e-9;
}

/* Nothing for work that is done within a second. */
static void show_progress(void *user, const char *phase, double done)
{
    progress_bar *bar = user;
    double seconds = seconds_since(&bar->start);
    if (seconds < 1)
        return;
    char line[20 * 3 + 1];
    int n = 0;
    for (int i = 0; i < 20; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%s", i < (int)(done * 20) ? "█" : "·");
    fprintf(stderr, "\r  %-12.30s %s %.1f s ", phase, line, seconds);
    fflush(stderr);
    bar->shown = true;
}

static void end_progress(progress_bar *bar)
{
    if (bar->shown)
        fputs("\r\033[K", stderr);
}

/* ---- dispatch ---- */

typedef struct command_entry {
    const char *name;
    tl_status (*run)(cli *c);
} command_entry;

static const command_entry entries[] = {
#define COMMAND(name, ...) {#name, cmd_##name},
#include "cli/commands.def"
#undef COMMAND
};

static tl_status run_command(cli *c)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if (!strcmp(entries[i].name, c->args.command))
            return entries[i].run(c);
    return TL_BUG;
}

/* Output that did not reach its destination is an error, not a success. */
static tl_status close_stdout(tl_status status)
{
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (failed && status <= TL_DIFFERS) {
        perror("tolite: cannot write to standard output");
        return TL_ENVIRONMENT;
    }
    return status;
}

/* Where the command line is wrong, --json may stand behind the place. */
static bool wants_document(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--json"))
            return true;
    return false;
}

static tl_status run_program(int argc, char **argv)
{
    cli c = {0};
    bool help;
    tl_status status = cli_parse(&c, argc, argv, &help);
    if (status != TL_OK && wants_document(argc, argv))
        print_error_document(&c, status);
    if (status != TL_OK || help)
        return status;
    bool terminal = isatty(STDERR_FILENO) != 0;
    progress_bar bar = {.shown = false};
    clock_gettime(CLOCK_MONOTONIC, &bar.start);
    c.color = terminal && !getenv("NO_COLOR");
    c.bar = terminal && !cli_has(&c, OPT_quiet) && !cli_has(&c, OPT_json);
    long threads = 0;
    if (cli_int(&c, OPT_threads, 1, 1024, &threads) != TL_OK)
        return TL_USAGE;
    tl_context_options options;
    tl_context_options_init(&options);
    options.cancel = &cancel;
    options.threads = (int)threads;
    if (c.bar) {
        options.progress = show_progress;
        options.progress_user = &bar;
    }
    c.cx = tl_context_new(&options);
    if (!c.cx) {
        fputs("tolite: out of memory\n", stderr);
        return TL_ENVIRONMENT;
    }
    status = run_command(&c);
    end_progress(&bar);
    cli_diagnostics(&c, status, true);
    if (status == TL_BUG)
        fputs("  this is a bug in tolite: please report it with the command and the model\n",
              stderr);
    tl_context_free(c.cx);
    return status;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error like any other */
    tl_status status = close_stdout(run_program(argc, argv));
    free_blocks();
    return (int)status;
}
