/* The list of status.h as tables. */
#include <string.h>

#include "proto/status.h"

struct entry {
	const char *name;
	size_t name_len;
	const char *text;
};

static const struct entry entries[STATUS_COUNT] = {
	[STATUS_OK] = { "", 0, "" },
#define X(constant, name, text) [constant] = { name, sizeof name - 1, text },
	STATUS_LIST(X)
#undef X
};

const char *
status_name(enum status s)
{
	return entries[s].name;
}

const char *
status_text(enum status s)
{
	return entries[s].text;
}

enum status
status_find(const char *name, size_t len)
{
	for (int s = STATUS_OK + 1; s < STATUS_COUNT; s++)
		if (entries[s].name_len == len && memcmp(entries[s].name, name, len) == 0)
			return (enum status)s;
	return STATUS_OK;
}
