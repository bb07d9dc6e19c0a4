/* A configuration in effect, as YAML that reads back as itself: every row of the table with what is stored for it. What a list of any
 * values holds (initargs) is MessagePack by now and is only mentioned. */
#include <inttypes.h>
#include <string.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/number.h"

/* In double quotes, so that nothing in it means something to YAML. */
static void
quote(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

/* Words that are plain in YAML stay so. */
static void
text(FILE *out, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.:-@+=";
	static const char *const meant[] = { "null", "true", "false", "yes", "no", "on", "off", "auto", "none", "all" };
	bool is_plain = *s && s[strspn(s, plain)] == '\0' && strchr("-:@=+.0123456789", *s) == NULL && s[strlen(s) - 1] != ':';

	for (size_t i = 0; i < sizeof meant / sizeof meant[0]; i++)
		is_plain &= strcmp(s, meant[i]) != 0;
	if (is_plain)
		fputs(s, out);
	else
		quote(out, s);
}

static void
list(FILE *out, const struct config_strings *s)
{
	fputc('[', out);
	for (size_t i = 0; i < s->count; i++) {
		fputs(i ? ", " : "", out);
		text(out, s->item[i]);
	}
	fputc(']', out);
}

static void
env(FILE *out, const struct config_strings *s)
{
	char name[256];

	fputc('{', out);
	for (size_t i = 0; i < s->count; i++) {
		size_t len = strcspn(s->item[i], "=");

		snprintf(name, sizeof name, "%.*s", (int)len, s->item[i]);
		fputs(i ? ", " : "", out);
		quote(out, name);
		fputs(": ", out);
		quote(out, s->item[i] + len + (s->item[i][len] == '='));
	}
	fputc('}', out);
}

static void
principals(FILE *out, const struct config_principals *p)
{
	if (p->count == 1 && p->item[0].kind == CONFIG_ALL) {
		fputs("all", out);
		return;
	}
	fputc('[', out);
	for (size_t i = 0; i < p->count; i++) {
		fputs(i ? ", " : "", out);
		text(out, p->item[i].kind == CONFIG_ALL ? "all" : p->item[i].name);
	}
	fputc(']', out);
}

static void
number(FILE *out, const struct key *k, const void *field)
{
	bool takes_auto = k->type == KEY_AUTO || (k->standard && !strcmp(k->standard, "auto"));
	char digits[32];
	uint64_t value;
	uint32_t narrow;

	if (k->size == sizeof narrow) {
		memcpy(&narrow, field, sizeof narrow);
		value = narrow;
	} else {
		memcpy(&value, field, sizeof value);
	}
	if (takes_auto && value == 0)
		fputs("auto", out);
	else if (k->none && value == UINT64_MAX)
		fputs("none", out);
	else if (k->type == KEY_SHARE)
		fprintf(out, "%g", (double)value / 1e6);
	else
		fputs(number_format(k->type == KEY_SIZE ? NUMBER_SIZE : k->type == KEY_DURATION ? NUMBER_DURATION : NUMBER_COUNT, value, digits,
			sizeof digits), out);
}

static void
mode(FILE *out, const void *field)
{
	uint32_t value;

	memcpy(&value, field, sizeof value);
	if (value == CONFIG_NO_UMASK)
		fputs("null", out);
	else
		fprintf(out, "0%o", value);
}

static void
string(FILE *out, const struct key *k, const void *field)
{
	const char *s;

	memcpy(&s, field, sizeof s);
	if (!s)
		fputs("null", out);
	else if (k->type == KEY_CHOICE || (k->type == KEY_PATH && *s != '/') || k->type == KEY_STORE)
		fputs(s, out); /* one of our own words, or a store, which has no blanks */
	else
		text(out, s);
}

static void
value(FILE *out, const struct key *k, const void *field)
{
	switch (k->type) {
	case KEY_BOOL:
		fputs(*(const bool *)field ? "true" : "false", out);
		break;
	case KEY_COUNT:
	case KEY_AUTO:
	case KEY_SHARE:
	case KEY_SIZE:
	case KEY_DURATION:
		number(out, k, field);
		break;
	case KEY_MODE:
		mode(out, field);
		break;
	case KEY_TEXT:
	case KEY_PATH:
	case KEY_ADDRESS:
	case KEY_CHOICE:
	case KEY_HTTP:
	case KEY_STORE:
		string(out, k, field);
		break;
	case KEY_AUTH:
		fputs(*(const enum config_auth *)field == CONFIG_AUTH_CERTIFICATE ? "certificate" : "token", out);
		break;
	case KEY_KIND:
		fputs(config_kind_name(*(const enum config_kind *)field), out);
		break;
	case KEY_RUNTIME: {
		const struct config_strings *s = field;

		if (s->count == 1 && *s->item[0] != '/')
			text(out, s->item[0]);
		else
			list(out, s);
		break;
	}
	case KEY_TEXTS:
		list(out, field);
		break;
	case KEY_PRINCIPALS:
		principals(out, field);
		break;
	case KEY_ENV:
		env(out, field);
		break;
	default:
		break;
	}
}

static void
row(FILE *out, int indent, const struct key *k, const void *base)
{
	fprintf(out, "%*s%s: ", indent, "", k->name);
	value(out, k, (const char *)base + k->offset);
	fputc('\n', out);
}

static void
listeners(FILE *out, const struct config *c, const char *address)
{
	if (!c->listens) {
		fputs("listen: []  # ", out);
		text(out, address); /* in quotes where it could end the line */
		fputc('\n', out);
	}
	for (size_t i = 0; i < c->listens; i++) {
		const struct config_listen *l = &c->listen[i];
		bool tls = !strncmp(l->address, "tls:", 4), tcp = !strncmp(l->address, "tcp:", 4);
		unsigned scheme = tls ? LISTEN_TLS : tcp ? LISTEN_TCP : LISTEN_UNIX;

		fputs(i ? "" : "listen:\n", out);
		for (size_t k = 0; k < LISTEN_KEYS; k++) {
			const struct key *key = &listen_keys[k];
			const char *s = NULL;

			if (k != LISTEN_ADDRESS && !(key->kinds & scheme))
				continue;
			if (key->type == KEY_PATH || key->type == KEY_TEXT || key->type == KEY_CHOICE) {
				memcpy(&s, (const char *)l + key->offset, sizeof s);
				if (!s)
					continue;
			}
			fputs(k == LISTEN_ADDRESS ? "  - " : "    ", out);
			row(out, 0, key, l);
		}
	}
}

static void
pool(FILE *out, const struct config_pool *p)
{
	bool limits = false;

	fputs("  ", out);
	text(out, p->name);
	fputs(":\n", out);
	for (size_t i = 0; i < POOL_KEYS; i++) {
		const struct key *k = &pool_keys[i];
		bool empty = k->type == KEY_RUNTIME && ((const struct config_strings *)((const char *)p + k->offset))->count == 0;

		if (!(k->kinds & 1u << p->kind) || k->type == KEY_GROUP || empty || (i == POOL_RETAIN && !p->has_retain))
			continue;
		if (i == POOL_INITARGS) {
			if (p->initargs_len > 1)
				fprintf(out, "    # initargs: %zu bytes of MessagePack\n", p->initargs_len);
			continue;
		}
		if (k->group && !limits)
			fprintf(out, "    %s:\n", k->group);
		limits |= k->group != NULL;
		row(out, k->group ? 6 : 4, k, p);
	}
}

static void
group(FILE *out, const struct config *c, const char *address, const char *name, int indent)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct key *k = &config_keys[i];

		if ((k->group == NULL) != (name == NULL) || (name && strcmp(k->group, name) != 0))
			continue;
		if (k->type == KEY_GROUP) {
			fprintf(out, "%*s%s:\n", indent, "", k->name);
			group(out, c, address, k->name, indent + 2);
		} else if (k->type == KEY_LISTEN) {
			listeners(out, c, address);
		} else if (k->type == KEY_POOLS) {
			fputs("pools:\n", out);
			for (size_t p = 0; p < c->pools; p++)
				pool(out, &c->pool[p]);
		} else {
			row(out, indent, k, c);
		}
	}
}

void
config_write(FILE *out, const struct config *c, const char *address)
{
	fprintf(out, "# %s\n", c->path ? c->path : "Without a file: built-in defaults.");
	group(out, c, address, NULL, 0);
}
