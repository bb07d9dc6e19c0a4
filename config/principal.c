/* The user database is asked when the configuration is read, so that a daemon never waits for it while it serves. */
#include "config/principal.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "config/memory.h"
#include "config/number.h"

enum { NAME_MAX_LEN = 128 }; /* of a token or a certificate */

void
config_principals_clear(struct config_principals *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->item[i].name);
	free(p->item);
	*p = (struct config_principals){0};
}

/* (uid_t)-1 is nobody's: the system calls take it for "no change". */
static bool
is_number(const char *text, uint32_t *id)
{
	uint64_t n;

	if (number_parse(NUMBER_COUNT, text, &n) != NUMBER_OK || n >= UINT32_MAX)
		return false;
	*id = (uint32_t)n;
	return true;
}

bool
principal_user(const char *text, uint32_t *id)
{
	const struct passwd *pw;

	if (is_number(text, id))
		return true;
	pw = getpwnam(text);
	if (pw)
		*id = pw->pw_uid;
	return pw != NULL;
}

bool
principal_group(const char *text, uint32_t *id)
{
	const struct group *gr;

	if (is_number(text, id))
		return true;
	gr = getgrnam(text);
	if (gr)
		*id = gr->gr_gid;
	return gr != NULL;
}

/* What is behind the word and its colon; NULL if it does not begin so. */
static const char *
behind(const char *text, const char *word)
{
	size_t len = strlen(word);

	return !strncmp(text, word, len) && text[len] == ':' ? text + len + 1 : NULL;
}

enum principal_verdict
principal_parse(const char *text, struct config_principal *out)
{
	const char *name;

	*out = (struct config_principal){ .kind = CONFIG_USER };
	if (!strcmp(text, "all")) {
		out->kind = CONFIG_ALL;
	} else if ((name = behind(text, "group")) != NULL) {
		out->kind = CONFIG_GROUP;
		if (!principal_group(name, &out->id))
			return PRINCIPAL_NO_GROUP;
	} else if ((name = behind(text, "token")) != NULL || (name = behind(text, "cert")) != NULL) {
		out->kind = text[0] == 't' ? CONFIG_TOKEN : CONFIG_CERTIFICATE;
		if (!*name || strlen(name) > NAME_MAX_LEN)
			return PRINCIPAL_BAD;
	} else {
		name = behind(text, "user");
		name = name ? name : text;
		if (!*name || strchr(name, ':'))
			return PRINCIPAL_BAD;
		if (!principal_user(name, &out->id))
			return PRINCIPAL_NO_USER;
	}
	out->name = memory_text(text, strlen(text));
	return out->name ? PRINCIPAL_OK : PRINCIPAL_NO_MEMORY;
}
