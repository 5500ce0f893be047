/* The command line, parsed by table. */
#include "cli/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* clang-format off */
const option_row cli_options[] = {
#define OPTION(id, name, letter, kind, metavar, commands, help) {name, letter, kind, metavar, commands, help},
#include "cli/options.def"
#undef OPTION
};

const command_row cli_commands[] = {
#define COMMAND(name, letter, operands, least, most, summary) {#name, letter, operands, least, most, summary},
#include "cli/commands.def"
#undef COMMAND
};
/* clang-format on */

const size_t cli_n_commands = sizeof cli_commands / sizeof cli_commands[0];

const command_row *cli_find_command(const char *name)
{
    for (size_t i = 0; i < cli_n_commands; i++)
        if (!strcmp(cli_commands[i].name, name))
            return &cli_commands[i];
    return NULL;
}

/* ---- what may have been meant ---- */

/* Letters to put in, take out or change to turn a into b (Levenshtein's distance); words are short. */
#define LONGEST_WORD 31
static size_t distance_of(const char *a, size_t n, const char *b)
{
    size_t row[LONGEST_WORD + 1], m = strlen(b);
    if (n > LONGEST_WORD || m > LONGEST_WORD)
        return LONGEST_WORD;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 0; i < n; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < m; j++) {
            size_t changed = corner + (a[i] != b[j]), added = row[j] + 1, taken = row[j + 1] + 1;
            corner = row[j + 1];
            row[j + 1] = changed < added ? changed : added;
            row[j + 1] = row[j + 1] < taken ? row[j + 1] : taken;
        }
    }
    return row[m];
}

typedef struct guess {
    const char *name;
    size_t distance;
} guess;

static void consider(guess *best, const char *word, size_t n, const char *name)
{
    size_t d = strlen(name) > n && !strncmp(name, word, n) ? 1 : distance_of(word, n, name);
    if (d < best->distance)
        *best = (guess){name, d};
}

static tl_status refuse_command(const char *name)
{
    guess best = {NULL, 3};
    for (size_t i = 0; i < cli_n_commands; i++)
        consider(&best, name, strlen(name), cli_commands[i].name);
    if (best.name)
        return cli_usage("no command %s, perhaps %s; see tolite help", name, best.name);
    return cli_usage("no command %s; see tolite help", name);
}

static bool is_for(const option_row *row, const command_row *command)
{
    return row->commands[0] == '*' || strchr(row->commands, command->letter);
}

static tl_status refuse_option(const char *word, const command_row *command)
{
    guess best = {NULL, 3};
    size_t n = word[1] == '-' ? strcspn(word + 2, "=") : 0;
    for (int i = 0; i < OPT_COUNT && n; i++)
        if (is_for(&cli_options[i], command))
            consider(&best, word + 2, n, cli_options[i].name);
    if (best.name)
        return cli_usage("no option %s, perhaps --%s; see tolite help %s", word, best.name,
                         command->name);
    return cli_usage("no option %s; see tolite help %s", word, command->name);
}

static void push_value(cli_values *values, const char *value)
{
    const char **grown = cli_alloc((values->n + 1) * sizeof *grown);
    if (values->n)
        memcpy(grown, values->v, values->n * sizeof *grown);
    grown[values->n++] = value;
    values->v = grown;
}

/* The option a word stands for: --name, --name=value, -x, -xvalue; of several with the name the one for this command.
 * *value NULL: none attached. */
static int find_option(const char *word, const command_row *command, const char **value)
{
    int found = -1;
    *value = NULL;
    if (word[1] != '-') {
        for (int i = 0; i < OPT_COUNT; i++)
            if (cli_options[i].letter == word[1]) {
                *value = word[2] ? word + 2 : NULL;
                return i;
            }
        return -1;
    }
    size_t n = strcspn(word + 2, "=");
    for (int i = 0; i < OPT_COUNT; i++)
        if (strlen(cli_options[i].name) == n && !strncmp(cli_options[i].name, word + 2, n) &&
            (found < 0 || is_for(&cli_options[i], command)))
            found = i;
    *value = found >= 0 && word[2 + n] ? word + 3 + n : NULL;
    return found;
}

/* What begins an option, and is no negative number nor the name "-". */
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] && word[1] != '.' && (word[1] < '0' || word[1] > '9');
}

static tl_status take_option(cli *c, const command_row *command, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *value;
    int id = find_option(word, command, &value);
    if (id < 0)
        return refuse_option(word, command);
    const option_row *row = &cli_options[id];
    if (!is_for(row, command))
        return cli_usage("option --%s is not for %s; see tolite help %s", row->name, command->name,
                         command->name);
    cli_values *values = &c->args.options[id];
    if (row->kind == FLAG) {
        if (value)
            return cli_usage("option --%s takes no value", row->name);
        push_value(values, "");
    } else if (row->kind == OPTIONAL) {
        push_value(values, value ? value : "");
    } else if (row->kind == MANY && !value) {
        if (*at + 1 >= argc || argv[*at + 1][0] == '-')
            return cli_usage("option --%s needs %s", row->name, row->metavar);
        while (*at + 1 < argc && argv[*at + 1][0] != '-')
            push_value(values, argv[++*at]);
    } else {
        const char *next = *at + 1 < argc ? argv[*at + 1] : "";
        if (!value && is_option(next))
            return cli_usage("option --%s needs %s, found %s; --%s=%s if that is meant", row->name,
                             row->metavar, next, row->name, next);
        if (!value && *at + 1 < argc)
            value = argv[++*at];
        if (!value || !*value)
            return cli_usage("option --%s needs %s", row->name, row->metavar);
        push_value(values, value);
    }
    return TL_OK;
}

/* Both are there and the same file, or both have the same name. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    if (stat(a, &x) == 0 && stat(b, &y) == 0)
        return x.st_dev == y.st_dev && x.st_ino == y.st_ino && S_ISREG(x.st_mode);
    return !strcmp(a, b);
}

static bool has_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat found;
    char folder[4096];
    if (!slash || slash == path || (size_t)(slash - path) >= sizeof folder)
        return true;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = 0;
    return stat(folder, &found) == 0 && S_ISDIR(found.st_mode);
}

/* What is written is nothing that is read, and nothing that is written, too. */
static tl_status check_written(const cli *c)
{
    static const cli_option written[] = {OPT_out_file, OPT_report, OPT_out};
    static const cli_option read[] = {OPT_in,      OPT_image, OPT_golden,  OPT_labels,
                                      OPT_samples, OPT_stats, OPT_held_out};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        const char *out = cli_value(c, written[i]);
        if (out && !has_folder(out))
            return cli_error(TL_ENVIRONMENT, "cannot write %s: its folder does not exist", out);
        for (size_t k = 0; out && k < c->args.n_operands; k++)
            if (same_file(out, c->args.operands[k]))
                return cli_usage("%s is read by this command; choose another file to write", out);
        for (size_t k = 0; out && k < sizeof read / sizeof *read; k++)
            for (size_t n = 0; n < c->args.options[read[k]].n; n++)
                if (same_file(out, c->args.options[read[k]].v[n]))
                    return cli_usage("%s is read by this command; choose another file to write",
                                     out);
        for (size_t k = 0; out && k < i; k++)
            if (cli_value(c, written[k]) && same_file(out, cli_value(c, written[k])))
                return cli_usage("%s is to be written twice; choose another file for one of them",
                                 out);
    }
    return TL_OK;
}

tl_status cli_parse(cli *c, int argc, char **argv, bool *help)
{
    *help = false;
    if (argc < 2) {
        cli_help(stderr, NULL);
        return TL_USAGE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
        *help = true;
        if (argc > 2 && !strcmp(argv[2], "--man")) {
            cli_man(stdout);
            return TL_OK;
        }
        if (argc > 2 && !cli_find_command(argv[2]))
            return refuse_command(argv[2]);
        cli_help(stdout, argc > 2 ? argv[2] : NULL);
        return TL_OK;
    }
    if (!strcmp(name, "--version") || !strcmp(name, "version")) {
        *help = true;
        printf("tolite %s\n", tl_version());
        return TL_OK;
    }
    const command_row *command = cli_find_command(name);
    if (!command)
        return refuse_command(name);
    c->args.command = name;
    c->args.operands = cli_alloc(((size_t)argc + 2) * sizeof *c->args.operands);
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            tl_status status = take_option(c, command, argc, argv, &i);
            if (status != TL_OK)
                return status;
        } else if (c->args.n_operands < command->most) {
            c->args.operands[c->args.n_operands++] = argv[i];
        } else {
            return cli_usage("%s: too many operands, at \"%s\"; usage: tolite %s %s", name, argv[i],
                             name, command->operands);
        }
    }
    if (cli_has(c, OPT_help)) {
        *help = true;
        cli_help(stdout, name);
        return TL_OK;
    }
    if (c->args.n_operands < command->least)
        return cli_usage("%s needs %s; see tolite help %s", name, command->operands, name);
    return check_written(c);
}

tl_status cli_int(const cli *c, cli_option option, long lo, long hi, long *value)
{
    const char *text = cli_value(c, option);
    if (!text)
        return TL_OK;
    char *end;
    errno = 0;
    long x = strtol(text, &end, 10);
    if (errno || *end || end == text || x < lo || x > hi)
        return cli_usage("option --%s: \"%s\", expected a number from %ld to %ld",
                         cli_options[option].name, text, lo, hi);
    *value = x;
    return TL_OK;
}

tl_status cli_double(const cli *c, cli_option option, double *value)
{
    const char *text = cli_value(c, option);
    if (!text)
        return TL_OK;
    char *end;
    double x = strtod(text, &end);
    if (*end || end == text || !(x >= 0))
        return cli_usage("option --%s: \"%s\", expected a number >= 0", cli_options[option].name,
                         text);
    *value = x;
    return TL_OK;
}
