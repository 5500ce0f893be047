/* The tables commands.def and options.def as data: for parsing and for help. */
#ifndef TL_CLI_TABLES_H
#define TL_CLI_TABLES_H

#include "cli/cli.h"

typedef enum option_kind { FLAG, VALUE, LIST, MANY, OPTIONAL } option_kind;

typedef struct option_row {
    const char *name;
    char letter;
    option_kind kind;
    const char *metavar, *commands, *help;
} option_row;

typedef struct command_row {
    const char *name;
    char letter;
    const char *operands;
    size_t least, most;
    const char *summary;
} command_row;

extern const option_row cli_options[OPT_COUNT];
extern const command_row cli_commands[];
extern const size_t cli_n_commands;

/* NULL when there is none of that name. */
const command_row *cli_find_command(const char *name);

#endif
