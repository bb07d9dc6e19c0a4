/* One setting: a YAML value checked against its row and stored in the field that the row names. */
#ifndef FUTURED_CONFIG_SETTING_H
#define FUTURED_CONFIG_SETTING_H

#include <stdbool.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/report.h"
#include "config/tree.h"

struct setting {
	const struct key *key;
	void *object;     /* the struct config or config_pool */
	const char *path; /* of the key, for messages */
	const char *base; /* the directory that relative paths start from; NULL: they are refused */
	struct report *report;
};

/* Stores the value. False, with a mistake reported and the field as it was, if it is not what the row allows. */
bool setting_store(const struct setting *s, const struct node *n);
/* Stores the row's default, if it has one. */
bool setting_default(const struct setting *s);
/* A new absolute path; NULL, with a mistake reported for n, if there is none. */
char *setting_path(const struct setting *s, const struct node *n, const char *text);
void config_strings_clear(struct config_strings *s);

#endif
