/* A command with places for an item, as GNU parallel has them: {} the item, {.} without its extension, {/} its last part, {//} its directory,
 * {/.} its last part without extension, {#} its number from 1, {%} its slot from 1. An item may have several fields, one from each source or
 * column: {2} is the second, {2.} that without its extension, {-1} the last, and {} all of them, each an argument of its own where it is the
 * whole word. Without any place all fields are added as the last arguments. */
#ifndef FUT_TEMPLATE_H
#define FUT_TEMPLATE_H

#include "client/fut/fut.h"

struct field {
	const char *s; /* not terminated */
	size_t len;
};

/* What stands in the places, all borrowed. */
struct filling {
	const struct field *fields;
	int count;
	uint64_t number;
	uint64_t slot;
};

struct template {
	char **words; /* borrowed */
	int count;
	int most;     /* there are as many fields; 0: that depends on the item */
	int beyond;   /* a place for a field that there is not; 0: there is none */
	char *line;   /* --shell: one line, owned; items are quoted into it */
	bool has_place;
	bool varies;  /* the program itself depends on the item */
	bool slots;   /* it has a {%} */
};

void template_init(struct template *t, char **words, int count, bool shell, int most);
void template_free(struct template *t);
/* The program for this item, new. */
char *template_program(const struct template *t, const struct filling *item);
/* Appends the array of arguments. */
void template_args(const struct template *t, const struct filling *item, struct futured_pack *args);
/* Program and arguments as one line that a shell would take, new. */
char *template_command(const struct template *t, const struct filling *item);

#endif
