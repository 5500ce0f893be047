/* The program: what its commands share. It uses the public library alone; what it prints about a
 * model comes from the library's JSON. Data goes to stdout, everything for humans beside data to
 * stderr. */
#ifndef TL_CLI_CLI_H
#define TL_CLI_CLI_H

#include "cli/json_read.h"
#include "tolite.h"

#include <stdio.h>

typedef enum cli_option {
#define OPTION(id, ...) OPT_##id,
#include "cli/options.def"
#undef OPTION
    OPT_COUNT
} cli_option;

typedef struct cli_values {
    const char **v;
    size_t n;
} cli_values;

typedef struct cli_args {
    const char *command;
    const char **operands;
    size_t n_operands;
    cli_values options[OPT_COUNT]; /* n == 0: not given; flags have one empty value */
} cli_args;

typedef struct cli {
    tl_context *cx;
    cli_args args;
    bool color;    /* stderr is a terminal that wants it */
    bool bar;      /* ... and shows progress */
    bool answered; /* the document of --json is printed, although the command may fail */
} cli;

/* TL_USAGE after saying why; *help when help was asked for (the text is printed). */
tl_status cli_parse(cli *c, int argc, char **argv, bool *help);
void cli_help(FILE *to, const char *command);
void cli_man(FILE *to); /* the manual page, for docs/tolite.1 */

static inline bool cli_has(const cli *c, cli_option option)
{
    return c->args.options[option].n > 0;
}
/* The last value; NULL when not given. */
static inline const char *cli_value(const cli *c, cli_option option)
{
    const cli_values *v = &c->args.options[option];
    return v->n ? v->v[v->n - 1] : NULL;
}
/* Says what is wrong on stderr, and keeps it for the document of --json; gives status back. */
tl_status cli_error(tl_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define cli_usage(...) cli_error(TL_USAGE, __VA_ARGS__)
tl_status cli_int(const cli *c, cli_option option, long lo, long hi, long *value);
tl_status cli_double(const cli *c, cli_option option, double *value);
/* For humans: to stdout, or to stderr when a document goes there; silent with --quiet. */
void cli_say(const cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints what the context recorded since last time and forgets it; where --json wants a document and the command
 * fails with status, that document, too. */
void cli_diagnostics(cli *c, tl_status status, bool warnings);

/* ---- shared between commands ---- */
void cli_open_options(cli *c, tl_open_options *options);
tl_status cli_open(cli *c, const char *path, tl_network **out);
tl_status cli_convert_options(cli *c, tl_convert_options *options);
/* Inputs for network from --in, --image, --random. *samples when the arrays turned out to be one
 * sample per picture. */
tl_status cli_inputs(cli *c, tl_network *network, tl_arrays **out, bool *samples);
/* --resize, --crop, --mean, --std, --raw. */
tl_status cli_picture_options(cli *c, tl_picture_options *options);
/* Statistics from --samples and --stats; *out NULL where neither is given. */
tl_status cli_statistics(cli *c, tl_network *network, const tl_convert_options *options, tl_statistics **out);
/* Some of --samples as they are, for --prune and --cluster; *out NULL where neither or no samples are given. */
tl_status cli_kept_samples(cli *c, tl_network *network, const tl_convert_options *options, tl_statistics **out);
/* IN's name with this ending, in the current folder. */
const char *cli_default_output(const char *in, const char *ending);
/* --after, else --stage; NULL when neither is given. */
const char *cli_stage(const cli *c);
/* With --verbose: the module and the user's lines that something comes from. */
void cli_show_frames(const cli *c, const json_value *origin, const char *indent);
tl_status cli_write_text(const char *path, const char *text);
/* 12345678 -> "12.3 MB"; text has room for 32. */
/* Lines that name what a model needs beyond builtins; none when it needs nothing. */
void cli_show_customs(cli *c, const json_value *model);
const char *cli_bytes(double bytes, char *text);
/* The most memory that the program has had. */
double cli_peak_bytes(void);
/* To stdout, quoted. */
void cli_json_string(const char *text);
/* Zeroed, lives as long as the program; ends it with status 5 when memory is out. */
void *cli_alloc(size_t size);

#define COMMAND(name, ...) tl_status cmd_##name(cli *c);
#include "cli/commands.def"
#undef COMMAND

#endif
