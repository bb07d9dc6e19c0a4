/* The sample: every row of the table as a paragraph and the key at its default. What cannot be written as a value (a
 * default that follows another key) or is not for the pool shown is there behind a '#', as an example. */
#include <inttypes.h>
#include <string.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/number.h"

/* The text as comment lines, indented. */
static void
comment(FILE *out, int indent, const char *text)
{
	while (*text) {
		int len = (int)strcspn(text, "\n");

		fprintf(out, "%*s# %.*s\n", indent, "", len, text);
		text += len + (text[len] == '\n');
	}
}

static const char *
empty_value(enum key_type type)
{
	switch (type) {
	case KEY_ENV:
		return "{}";
	case KEY_LISTEN:
	case KEY_TEXTS:
	case KEY_VALUES:
	case KEY_PRINCIPALS:
		return "[]";
	case KEY_TEXT:
	case KEY_PATH:
	case KEY_MODE:
		return "null";
	default:
		return NULL;
	}
}

static void
write_range(FILE *out, int indent, const struct key *k)
{
	enum number_unit unit = k->type == KEY_SIZE ? NUMBER_SIZE :
		k->type == KEY_DURATION ? NUMBER_DURATION : NUMBER_COUNT;
	char least[32], most[32];

	if (k->type == KEY_SHARE)
		fprintf(out, "%*s# From %g to %g.\n", indent, "", (double)k->min / 1e6, (double)k->max / 1e6);
	if (k->type != KEY_COUNT && k->type != KEY_AUTO && k->type != KEY_SIZE && k->type != KEY_DURATION)
		return;
	fprintf(out, "%*s# From %s to %s.\n", indent, "", number_format(unit, k->min, least, sizeof(least)),
		number_format(unit, k->max, most, sizeof(most)));
}

static void
write_notes(FILE *out, int indent, const struct key *k)
{
	enum config_kind kind;
	const char *comma = " ";

	write_range(out, indent, k);
	if (k->kinds && k->kinds != KEY_ALL_KINDS) {
		fprintf(out, "%*s# Only for kind", indent, "");
		for (kind = CONFIG_COMMAND; kind <= CONFIG_INTERPRETER; kind++) {
			if (!(k->kinds & 1u << kind))
				continue;
			fprintf(out, "%s%s", comma, config_kind_name(kind));
			comma = ", ";
		}
		fprintf(out, ".\n");
	}
	if (k->standard_text)
		fprintf(out, "%*s# Default: %s.\n", indent, "", k->standard_text);
	if (k->type != KEY_GROUP && k->type != KEY_POOLS && !k->reloadable)
		fprintf(out, "%*s# A change needs a restart.\n", indent, "");
}

static void
write_key(FILE *out, int indent, const struct key *k)
{
	const char *value = k->standard ? k->standard : empty_value(k->type);
	bool shown = value && (!k->kinds || k->kinds & 1u << CONFIG_COMMAND);

	fputc('\n', out);
	comment(out, indent, k->help);
	write_notes(out, indent, k);
	if (k->type == KEY_GROUP || k->type == KEY_POOLS) {
		fprintf(out, "%*s%s:\n", indent, "", k->name);
		return;
	}
	if (k->example && strcmp(k->example, value ? value : "") != 0)
		fprintf(out, "%*s#%s: %s\n", indent, "", k->name, k->example);
	if (shown)
		fprintf(out, "%*s%s: %s\n", indent, "", k->name, value);
	else if (!k->example)
		fprintf(out, "%*s#%s: %s\n", indent, "", k->name, value ? value : "");
}

/* How far a key at the top or in its groups is indented. */
static int
depth(const struct key *k)
{
	for (size_t i = 0; k->group && i < config_key_count; i++)
		if (config_keys[i].type == KEY_GROUP && !strcmp(config_keys[i].name, k->group))
			return 2 + depth(&config_keys[i]);
	return 0;
}

void
config_sample(FILE *out)
{
	size_t i;

	comment(out, 0, "Configuration of futured, with every key at its default; futured.yaml(5) says more.\n"
		"`futured -t -c FILE` checks a file. An unknown key is an error. Sizes: 4096, 10kB, 64MiB; durations: 30,\n"
		"5ms, 1.5h; a relative path starts from this file's directory. The file must not be writable by others.");
	for (i = 0; i < config_key_count; i++)
		write_key(out, depth(&config_keys[i]), &config_keys[i]);
	fprintf(out, "  shell:\n");
	for (i = 0; i < POOL_KEYS; i++)
		write_key(out, pool_keys[i].group ? 6 : 4, &pool_keys[i]);
	fprintf(out, "\n  # The other pools that are there by default: Python functions by import path.\n"
		"  py: {kind: process, runtime: python}\n  pythread: {kind: thread, runtime: python}\n");
}
