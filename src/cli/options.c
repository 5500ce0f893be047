/* The command line, parsed by table. */
#include "cli/tables.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
const option_row cli_options[] = {
#define OPTION(id, name, letter, kind, metavar, commands, help) {name, letter, kind, metavar, commands, help},
#include "cli/options.def"
#undef OPTION
};

const command_row cli_commands[] = {
#define COMMAND(name, letter, operands, least, most, summary) {#name, letter, operands, least, most, summary},
#define LATER(name, summary) {#name, 0, "", 0, 0, summary},
#include "cli/commands.def"
#undef COMMAND
#undef LATER
};
/* clang-format on */

const size_t cli_n_commands = sizeof cli_commands / sizeof cli_commands[0];

tl_status cli_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("tolite: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return TL_USAGE;
}

const command_row *cli_find_command(const char *name)
{
    for (size_t i = 0; i < cli_n_commands; i++)
        if (!strcmp(cli_commands[i].name, name))
            return &cli_commands[i];
    return NULL;
}

static void push_value(cli_values *values, const char *value)
{
    const char **grown = cli_alloc((values->n + 1) * sizeof *grown);
    if (values->n)
        memcpy(grown, values->v, values->n * sizeof *grown);
    grown[values->n++] = value;
    values->v = grown;
}

/* The option a word stands for: --name, --name=value, -x, -xvalue. *value NULL: none attached. */
static int find_option(const char *word, const char **value)
{
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
        if (strlen(cli_options[i].name) == n && !strncmp(cli_options[i].name, word + 2, n)) {
            *value = word[2 + n] ? word + 3 + n : NULL;
            return i;
        }
    return -1;
}

static tl_status take_option(cli *c, const command_row *command, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *value;
    int id = find_option(word, &value);
    if (id < 0)
        return cli_usage("no option %s; see tolite help %s", word, command->name);
    const option_row *row = &cli_options[id];
    if (row->commands[0] != '*' && !strchr(row->commands, command->letter))
        return cli_usage("option --%s is not for %s; see tolite help %s", row->name, command->name,
                         command->name);
    if (row->kind == LATER)
        return cli_usage("option --%s: not yet in this version", row->name);
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
        if (!value && *at + 1 < argc)
            value = argv[++*at];
        if (!value || !*value)
            return cli_usage("option --%s needs %s", row->name, row->metavar);
        push_value(values, value);
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
            return cli_usage("no command %s; see tolite help", argv[2]);
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
        return cli_usage("no command %s; see tolite help", name);
    if (!command->letter)
        return cli_usage("%s: not yet in this version", name);
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
    return TL_OK;
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
