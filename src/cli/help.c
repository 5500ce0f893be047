/* Help and the manual page, from the tables of the command line. */
#include "cli/tables.h"

#include <string.h>

static const struct {
    int status;
    const char *brief, *meaning;
} statuses[] = {
    {0, "done", "Done."},
    {1, "models differ",
     "The models differ, a bound is missed, or a .tflite file breaks a rule of the runtime. The "
     "file is written."},
    {2, "usage", "An option or an operand is wrong."},
    {3, "malformed input", "The input is not what its format demands."},
    {4, "unsupported", "The input is sound, but something in it cannot be done."},
    {5, "environment", "A file is missing or unreadable, the disk is full, memory is out."},
    {6, "bug in tolite", "A bug of tolite itself; please report it."},
    {130, "interrupted",
     "The work was stopped. On 2 and above no file is written, and an older one is untouched."},
};
#define N_STATUSES (sizeof statuses / sizeof statuses[0])

static bool is_option_of(const option_row *row, const command_row *command)
{
    return row->commands[0] == '*' || (command->letter && strchr(row->commands, command->letter));
}

static void option_help(FILE *to, const option_row *row)
{
    char left[64];
    int n = snprintf(left, sizeof left, "  %c%c%s--%s", row->letter ? '-' : ' ',
                     row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name);
    if (row->metavar[0])
        snprintf(left + n, sizeof left - (size_t)n, row->kind == OPTIONAL ? "[=%s]" : " %s",
                 row->metavar);
    fprintf(to, "%-34s  %s\n", left, row->help);
}

void cli_help(FILE *to, const char *command)
{
    const command_row *c = command ? cli_find_command(command) : NULL;
    if (!c) {
        fprintf(to, "usage: tolite COMMAND ARGUMENTS\n\n"
                    "Turns trained PyTorch and ONNX models into TensorFlow Lite files and "
                    "proves them right.\n\ncommands:\n");
        for (size_t i = 0; i < cli_n_commands; i++)
            fprintf(to, "  %-10s %s\n", cli_commands[i].name, cli_commands[i].summary);
        fprintf(to, "  %-10s %s\n\n", "help", "help COMMAND: its options");
        fputs("exit status:", to);
        for (size_t i = 0; i < N_STATUSES; i++)
            fprintf(to, "%s%d %s", i ? i == 5 ? ",\n  " : ", " : " ", statuses[i].status,
                    statuses[i].brief);
        fputc('\n', to);
        return;
    }
    fprintf(to, "usage: tolite %s%s%s [OPTIONS]\n\n%s%s\n\noptions:\n", c->name,
            c->operands[0] ? " " : "", c->operands, c->summary,
            c->letter ? "" : " (not yet in this version)");
    for (size_t i = 0; i < OPT_COUNT; i++)
        if (is_option_of(&cli_options[i], c))
            option_help(to, &cli_options[i]);
}

/* ---- the manual page ---- */

/* Text for roff: hyphens are minus signs, a leading full stop or quote would be a request. */
static void man_text(FILE *to, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", to);
    for (; *text; text++)
        if (*text == '-')
            fputs("\\-", to);
        else if (*text == '\\')
            fputs("\\e", to);
        else
            fputc(*text, to);
}

static void man_line(FILE *to, const char *text)
{
    man_text(to, text);
    fputc('\n', to);
}

static void man_option(FILE *to, const option_row *row)
{
    fputs(".TP\n", to);
    if (row->letter)
        fprintf(to, "\\fB\\-%c\\fR, ", row->letter);
    fputs("\\fB\\-\\-", to);
    man_text(to, row->name);
    fputs("\\fR", to);
    if (row->metavar[0]) {
        fputs(row->kind == OPTIONAL ? "[=\\fI" : " \\fI", to);
        man_text(to, row->metavar);
        fputs(row->kind == OPTIONAL ? "\\fR]" : "\\fR", to);
    }
    fputc('\n', to);
    man_text(to, row->help);
    man_line(to, ".");
}

static void man_command(FILE *to, const command_row *command)
{
    fprintf(to, ".SS \"tolite %s %s\"\n", command->name, command->operands);
    man_text(to, command->summary);
    fputs(".\n", to);
    for (size_t i = 0; i < OPT_COUNT; i++)
        if (cli_options[i].commands[0] != '*' && is_option_of(&cli_options[i], command))
            man_option(to, &cli_options[i]);
}

static const char man_head[] =
    ".SH NAME\n"
    "tolite \\- convert, run, compare and inspect neural networks for TensorFlow Lite\n"
    ".SH SYNOPSIS\n"
    ".B tolite\n"
    ".I COMMAND ARGUMENTS\n"
    ".SH DESCRIPTION\n"
    "Turns trained networks into TensorFlow Lite files and proves them right: it executes the "
    "source,\n"
    "the graph after any step on the way, and the file it wrote, and says where two of them part.\n"
    ".PP\n"
    "Data goes to standard output, what is said beside it to standard error. An option and its "
    "value may\n"
    "be two words or one, joined by an equals sign;\n"
    "a value in brackets is always joined.\n"
    ".SH COMMANDS\n";

static const char man_foot[] = ".SH ENVIRONMENT\n"
                               ".TP\n"
                               "\\fBNO_COLOR\\fR\n"
                               "no colour on a terminal.\n"
                               ".SH EXAMPLES\n"
                               ".nf\n"
                               "tolite convert model.onnx \\-\\-verify\n"
                               "tolite convert model.onnx \\-\\-input x=f32:n=1..8,3,224,224\n"
                               "tolite run model.tflite \\-\\-image cat.jpg \\-\\-resize 224x224 "
                               "\\-\\-labels labels.txt \\-\\-top 5\n"
                               "tolite diff model.onnx model.tflite \\-\\-random\n"
                               "tolite bench model.onnx model.tflite \\-\\-layers\n"
                               ".fi\n";

void cli_man(FILE *to)
{
    fputs(".\\\" made by: tolite help --man\n", to);
    fprintf(to, ".TH TOLITE 1 \"\" \"tolite %s\"\n%s", tl_version(), man_head);
    for (size_t i = 0; i < cli_n_commands; i++)
        if (cli_commands[i].letter)
            man_command(to, &cli_commands[i]);
    fputs(".SS \"tolite help COMMAND\"\nshow the options of a command.\n.SH OPTIONS\nOf every "
          "command:\n",
          to);
    for (size_t i = 0; i < OPT_COUNT; i++)
        if (cli_options[i].commands[0] == '*')
            man_option(to, &cli_options[i]);
    fputs(".SH EXIT STATUS\n", to);
    for (size_t i = 0; i < N_STATUSES; i++) {
        fprintf(to, ".TP\n%d\n", statuses[i].status);
        man_line(to, statuses[i].meaning);
    }
    fputs(man_foot, to);
}
