/* The report of a conversion as one page: no script, nothing from elsewhere, light or dark as the reader's system is. */
#ifndef TL_CLI_HTML_H
#define TL_CLI_HTML_H

#include "cli/cli.h"

/* convert: the detailed report of tl_convert; diff: of tl_diff of source and file with per_value, or NULL. */
tl_status cli_write_html(const char *path, const char *convert, const char *diff);

#endif
