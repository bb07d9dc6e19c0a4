/* Configurations in tests: text in, a struct or what was reported out. */
#ifndef FUTURED_TESTS_CONFIG_TEXT_H
#define FUTURED_TESTS_CONFIG_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

/* Parses; *errors (new) is what was reported. */
static inline struct config *
parse_bytes(const char *text, size_t len, char **errors)
{
	size_t size = 0;
	FILE *out = open_memstream(errors, &size);
	struct config *c;

	assert_non_null(out);
	c = config_parse("t.yaml", text, len, out);
	fclose(out);
	return c;
}

static inline struct config *
parse_good(const char *text)
{
	char *errors = NULL;
	struct config *c = parse_bytes(text, strlen(text), &errors);

	if (!c)
		fail_msg("refused: %s\n%s", text, errors);
	assert_string_equal(errors, "");
	free(errors);
	return c;
}

static inline void
refused(const char *text, size_t len, const char *fragment)
{
	char *errors = NULL;
	struct config *c = parse_bytes(text, len, &errors);

	if (c)
		fail_msg("accepted, expected: %s", fragment);
	if (!strstr(errors, fragment))
		fail_msg("expected: %s\ngot: %.500s", fragment, errors);
	free(errors);
}

static inline void
refused_text(const char *text, const char *fragment)
{
	refused(text, strlen(text), fragment);
}

#endif
