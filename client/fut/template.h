/* A command with places for an item: {} the item, {.} without its extension, {/} its last part, {//} its directory, {/.} its last part
 * without extension, {#} its number from 1. Without any, the item is added as the last argument. */
#ifndef FUT_TEMPLATE_H
#define FUT_TEMPLATE_H

#include "client/fut/fut.h"

struct template {
	char **words; /* borrowed */
	int count;
	char *line;   /* --shell: one line, owned; items are quoted into it */
	bool has_place;
	bool varies;  /* the program itself depends on the item */
};

void template_init(struct template *t, char **words, int count, bool shell);
void template_free(struct template *t);
/* The program for this item, new. */
char *template_program(const struct template *t, const char *item, uint64_t number);
/* Appends the array of arguments. */
void template_args(const struct template *t, const char *item, size_t len, uint64_t number, struct futured_pack *args);

#endif
