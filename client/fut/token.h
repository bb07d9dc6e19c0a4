/* fut daemon token: draws a token and writes the line for the daemon's file of tokens. */
#ifndef FUT_TOKEN_H
#define FUT_TOKEN_H

#include "client/fut/fut.h"

struct token_wish {
	const char *name;
	const char *role;    /* "user" */
	const char *expires; /* "never", a date, a moment, or a duration from now */
	const char *file;    /* the line is added to it; NULL: it is printed on stderr */
};

/* Returns the status to exit with. */
int token_make(struct fut *f, const struct token_wish *wish);

#endif
