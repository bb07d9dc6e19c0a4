/* Verbs that are several: `fut pool pause shell`, `fut daemon stop`. */
#ifndef FUT_ACTION_H
#define FUT_ACTION_H

#include "client/fut/args.h"

/* A table of them ends with the name NULL. */
struct action {
	const char *name;
	const char *operands[3]; /* what stands behind it, ends with NULL */
	bool alone;              /* it asks no daemon, or looks for one itself */
	int (*run)(struct args *a); /* the operands are those behind its name */
};

/* Runs the action of f->verb that the first operand names, with a->wish for what the options said; returns the status to exit with. */
int action_run(struct args *a);
/* The end of one whose answer says nothing: with --json {}, or its error. Frees the reply; returns the status. */
int action_simple(struct args *a, enum futured_status called, struct futured_reply *reply);

#endif
