/* Functions that lose lengths or errors. Naming one of them is a compile error. */
#ifndef TL_BASE_BANNED_H
#define TL_BASE_BANNED_H

/* system headers first, so that their own declarations are not poisoned */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* atol is not among them: it is the name of the absolute tolerance */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets atoi atof strtok
#endif
