/* The parameters of submit and map. */
#ifndef FUTURED_CLIENT_SUBMISSION_H
#define FUTURED_CLIENT_SUBMISSION_H

#include <stdarg.h>

#include "client/connection.h"
#include "client/packer.h"

/* Packs pool, fn, args (one array; NULL: none) and options into `p`, with the option `watch` if that is asked for and a key if the
 * connection makes them. What is wrong is left in the pack's status. */
void submission_pack(struct futured *c, struct futured_pack *p, const char *pool, const char *fn,
	const struct futured_pack *args, const struct futured_options *options, bool watch);
/* Packs one array of arguments by format into `args`, which is initialised. */
void submission_args(struct futured_pack *args, const char *format, va_list ap);

#endif
