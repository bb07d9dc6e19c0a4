/* Who somebody is, in a list of the configuration: `all`, a user, `group:NAME`, `token:NAME` or `cert:NAME`. */
#ifndef FUTURED_CONFIG_PRINCIPAL_H
#define FUTURED_CONFIG_PRINCIPAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum principal_verdict { PRINCIPAL_OK, PRINCIPAL_BAD, PRINCIPAL_NO_USER, PRINCIPAL_NO_GROUP, PRINCIPAL_NO_MEMORY };

/* Reads one word. Users and groups are looked up now, once: what the daemon compares later are numbers. out->name is new. */
enum principal_verdict principal_parse(const char *text, struct config_principal *out);
/* The id of a user by name or number. False: there is none. */
bool principal_user(const char *text, uint32_t *id);
/* The id of a group by name or number. False: there is none. */
bool principal_group(const char *text, uint32_t *id);
void config_principals_clear(struct config_principals *p);

#endif
