/* One small function per type; each says itself what it expected. Sizes are bounded by the file's. */
#include "config/setting.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/listen.h"
#include "config/initargs.h"
#include "config/memory.h"
#include "config/number.h"
#include "config/principal.h"

enum {
	TEXT_MAX = 4095,   /* PATH_MAX without its NUL */
	ENV_MAX = 131071,  /* what execve takes for one string */
	STRINGS_MAX = 1024,
};

void
config_strings_clear(struct config_strings *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		free(s->item[i]);
	free(s->item);
	*s = (struct config_strings){0};
}

static void *
field(const struct setting *s)
{
	return (char *)s->object + s->key->offset;
}

static bool
complain(const struct setting *s, const struct node *n, const char *expected)
{
	enum key_type type = s->key->type;
	bool is_quoted = n->type == NODE_SCALAR && !n->plain && (type == KEY_BOOL || type == KEY_COUNT || type == KEY_AUTO || type == KEY_SHARE || type == KEY_MODE);
	char quote[REPORT_QUOTE];

	report_add(s->report, n->line, n->col, s->path, "expected %s, got %s%s", expected, is_quoted ? "the string " : "",
		node_show(n, quote));
	return false;
}

/* Stores a pointer, or notes that there was no memory for it. */
static bool
store_text(const struct setting *s, char *text)
{
	char **at = field(s);

	if (!text) {
		s->report->no_memory = true;
		return false;
	}
	free(*at);
	*at = text;
	return true;
}

static bool
store_bool(const struct setting *s, const struct node *n)
{
	bool *at = field(s);

	if (n->type != NODE_SCALAR || !n->plain || (strcmp(n->text, "true") != 0 && strcmp(n->text, "false") != 0))
		return complain(s, n, "true or false");
	*at = n->text[0] == 't';
	return true;
}

static enum number_unit
unit_of(enum key_type type)
{
	return type == KEY_SIZE ? NUMBER_SIZE : type == KEY_DURATION || type == KEY_SHARE ? NUMBER_DURATION : NUMBER_COUNT;
}

/* A count that may, and any number whose default it is. 0 stands for it. */
static bool
takes_auto(const struct key *k)
{
	return k->type == KEY_AUTO || (k->standard && !strcmp(k->standard, "auto"));
}

static bool
complain_number(const struct setting *s, const struct node *n, enum number_verdict verdict)
{
	static const char *const noun[] = {
		[NUMBER_COUNT] = "a number", [NUMBER_SIZE] = "a size", [NUMBER_DURATION] = "a duration",
	};
	static const char *const such[] = {
		[NUMBER_COUNT] = "", [NUMBER_SIZE] = " (such as 4096, 10kB or 64MiB)",
		[NUMBER_DURATION] = " (such as 30, 5ms or 1.5h)",
	};
	enum number_unit unit = unit_of(s->key->type);
	char least[32], most[32], expected[200];

	number_format(unit, s->key->min, least, sizeof(least));
	number_format(unit, s->key->max, most, sizeof(most));
	if (s->key->type == KEY_SHARE) {
		snprintf(expected, sizeof(expected), "none or a number from %g to %g", (double)s->key->min / 1e6, (double)s->key->max / 1e6);
		return complain(s, n, expected);
	}
	snprintf(expected, sizeof(expected), "%s%s from %s to %s%s",
		takes_auto(s->key) ? "auto or " : s->key->none ? "none or " : "", noun[unit], least, most,
		verdict == NUMBER_BAD ? such[unit] :
		verdict != NUMBER_UNEVEN ? "" : unit == NUMBER_SIZE ? " in whole bytes" : " in whole microseconds");
	return complain(s, n, expected);
}

static bool
store_number(const struct setting *s, const struct node *n)
{
	const struct key *k = s->key;
	enum number_verdict verdict = NUMBER_BAD;
	uint64_t value = 0;
	uint32_t narrow;

	/* A quoted "4" is a string; "64MiB" is one with or without quotes. */
	if (k->type == KEY_SHARE && (n->type != NODE_SCALAR || !n->plain || n->text[strspn(n->text, "0123456789.")]))
		verdict = NUMBER_BAD;
	else if (n->type == NODE_SCALAR && strlen(n->text) == n->len && (n->plain || unit_of(k->type) != NUMBER_COUNT))
		verdict = number_parse(unit_of(k->type), n->text, &value);
	if (takes_auto(k) && n->type == NODE_SCALAR && n->plain && !strcmp(n->text, "auto"))
		value = 0;
	else if (k->none && n->type == NODE_SCALAR && n->plain && !strcmp(n->text, "none"))
		value = UINT64_MAX;
	else if (verdict != NUMBER_OK || value < k->min || value > k->max)
		return complain_number(s, n, verdict);
	narrow = (uint32_t)value;
	if (k->size == sizeof(narrow))
		memcpy(field(s), &narrow, sizeof(narrow));
	else
		memcpy(field(s), &value, sizeof(value));
	return true;
}

/* Octal, as everywhere else where modes are written. */
static bool
store_mode(const struct setting *s, const struct node *n)
{
	uint32_t *at = field(s);
	char expected[48], *end = NULL;
	unsigned long value = n->type == NODE_SCALAR && n->plain && n->len && n->len <= 4 ? strtoul(n->text, &end, 8) : 0;

	if (node_is_null(n) && n->len)
		return true;
	snprintf(expected, sizeof(expected), "an octal number from %s%jo to 0777", s->key->min ? "0" : "", (uintmax_t)s->key->min);
	if (!end || *end || n->text[0] < '0' || n->text[0] > '7' || value > s->key->max || value < s->key->min)
		return complain(s, n, expected);
	*at = (uint32_t)value;
	return true;
}

/* Whether it is a string of `least` to `most` bytes without NUL; else complains. */
static bool
is_text(const struct setting *s, const struct node *n, const char *noun, size_t least, size_t most)
{
	char expected[100];

	if (n->type == NODE_SCALAR && !node_is_null(n) && n->len >= least && n->len <= most && strlen(n->text) == n->len)
		return true;
	if (n->type == NODE_SCALAR && n->len > most)
		snprintf(expected, sizeof(expected), "%s of at most %zu bytes", noun, most);
	else
		snprintf(expected, sizeof(expected), "%s%s", noun,
			n->type == NODE_SCALAR && strlen(n->text) != n->len ? " without a NUL byte" : "");
	return complain(s, n, expected);
}

static bool
is_explicit_null(const struct node *n)
{
	return node_is_null(n) && n->len;
}

/* Where the service manager put a credential (systemd.exec(5)). Outside of a service that is where it would be: what a check on
 * the command line can say. */
static char *
credential_path(const struct setting *s, const struct node *n, const char *name)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	size_t len = strlen(name);
	char *path;

	if (!directory || directory[0] != '/')
		directory = "/run/credentials/futured.service";
	if (!len || len > 255 || name[0] == '.' || strchr(name, '/') || strlen(directory) + len + 1 > TEXT_MAX) {
		complain(s, n, "credential:NAME with the name of a credential");
		return NULL;
	}
	if (!(path = memory_new(strlen(directory) + len + 2))) {
		s->report->no_memory = true;
		return NULL;
	}
	snprintf(path, strlen(directory) + len + 2, "%s/%s", directory, name);
	return path;
}

char *
setting_path(const struct setting *s, const struct node *n, const char *text)
{
	size_t base = s->base ? strlen(s->base) : 0, len = strlen(text);
	char *path;

	if (!strncmp(text, "credential:", 11))
		return credential_path(s, n, text + 11);
	if (text[0] == '~') {
		complain(s, n, "a path that begins with / or is relative to the file's directory (~ has no meaning here)");
		return NULL;
	}
	if (text[0] != '/' && !s->base) {
		complain(s, n, "an absolute path");
		return NULL;
	}
	if (text[0] == '/')
		base = 0;
	if (base + len + 1 > TEXT_MAX) {
		complain(s, n, "a path of at most 4095 bytes");
		return NULL;
	}
	path = memory_new(base + len + 2);
	if (!path)
		s->report->no_memory = true;
	else if (base)
		snprintf(path, base + len + 2, "%s/%s", s->base, text);
	else
		memcpy(path, text, len);
	return path;
}

/* Whether it is one of the words that the key has. */
static bool
is_choice(const struct setting *s, const struct node *n)
{
	char word[40];

	if (n->type != NODE_SCALAR || !n->len || n->len != strlen(n->text) || strpbrk(n->text, " ") || n->len > 30)
		return false;
	snprintf(word, sizeof(word), " %s ", n->text);
	return strstr(s->key->choices, word) != NULL;
}

static bool
store_path(const struct setting *s, const struct node *n)
{
	char *path, **at = field(s);

	if (is_explicit_null(n))
		return true;
	if (s->key->choices && is_choice(s, n))
		return store_text(s, memory_text(n->text, n->len));
	if (!is_text(s, n, "a path or null", 1, TEXT_MAX))
		return false;
	path = setting_path(s, n, n->text);
	if (!path)
		return false;
	free(*at);
	*at = path;
	return true;
}

static bool
store_string(const struct setting *s, const struct node *n)
{
	if (is_explicit_null(n))
		return true;
	return is_text(s, n, "a string or null", 1, TEXT_MAX) && store_text(s, memory_text(n->text, n->len));
}

static bool
store_choice(const struct setting *s, const struct node *n)
{
	char expected[80];

	if (is_choice(s, n))
		return store_text(s, memory_text(n->text, n->len));
	snprintf(expected, sizeof(expected), "one of%.*s", (int)strlen(s->key->choices) - 1, s->key->choices);
	return complain(s, n, expected);
}

static bool
store_kind(const struct setting *s, const struct node *n)
{
	enum config_kind kind, *at = field(s);

	for (kind = CONFIG_COMMAND; kind <= CONFIG_INTERPRETER; kind++)
		if (n->type == NODE_SCALAR && n->len == strlen(config_kind_name(kind)) &&
		    !strcmp(n->text, config_kind_name(kind))) {
			*at = kind;
			return true;
		}
	return complain(s, n, "command, process, thread or interpreter");
}

/* memory, sqlite (in the state directory), or sqlite:PATH. */
static bool
store_store(const struct setting *s, const struct node *n)
{
	char *path, *text;

	if (n->type == NODE_SCALAR && n->len == strlen(n->text) && (!strcmp(n->text, "memory") || !strcmp(n->text, "sqlite")))
		return store_text(s, memory_text(n->text, n->len));
	if (n->type != NODE_SCALAR || n->len != strlen(n->text) || strncmp(n->text, "sqlite:", 7) || !n->text[7])
		return complain(s, n, "memory, sqlite or sqlite:PATH");
	if (!(path = setting_path(s, n, n->text + 7)))
		return false;
	if ((text = memory_new(strlen(path) + sizeof("sqlite:"))))
		snprintf(text, strlen(path) + sizeof("sqlite:"), "sqlite:%s", path);
	free(path);
	return store_text(s, text);
}

static bool
store_strings(const struct setting *s, const struct node *n, const char *noun, size_t least,
	char *(*make)(const struct setting *, const struct node *))
{
	const struct node *item = n->type == NODE_LIST ? n->item : n;
	size_t i, count = n->type == NODE_LIST ? n->count : 1;
	struct config_strings strings = {0}, *at = field(s);
	bool ok = true;

	if (count > STRINGS_MAX)
		return complain(s, n, "a list of at most 1024");
	if (count && !(strings.item = memory_new(count * sizeof(char *)))) {
		s->report->no_memory = true;
		return false;
	}
	for (i = 0; i < count; i++) {
		char *text = NULL;

		if (item[i].type == NODE_BAD)
			ok = false;
		else if (is_text(s, &item[i], noun, least, TEXT_MAX))
			text = make(s, &item[i]);
		if (text)
			strings.item[strings.count++] = text;
		else
			ok = false;
	}
	if (!ok) {
		config_strings_clear(&strings);
		return false;
	}
	config_strings_clear(at);
	*at = strings;
	return true;
}

static char *
make_text(const struct setting *s, const struct node *n)
{
	char *text = memory_text(n->text, n->len);

	if (!text)
		s->report->no_memory = true;
	return text;
}

static bool
read_principal(const struct setting *s, const struct node *n, struct config_principal *out)
{
	static const char who[] = "a user, group:NAME, token:NAME or cert:NAME";

	if (!is_text(s, n, who, 1, TEXT_MAX))
		return false;
	switch (principal_parse(n->text, out)) {
	case PRINCIPAL_OK:
		if (out->kind != CONFIG_ALL || s->key->choices)
			return true;
		free(out->name);
		return complain(s, n, who);
	case PRINCIPAL_BAD:
		return complain(s, n, s->key->choices ? "all, a user, group:NAME, token:NAME or cert:NAME" : who);
	case PRINCIPAL_NO_USER:
		return complain(s, n, "a user of this machine");
	case PRINCIPAL_NO_GROUP:
		return complain(s, n, "a group of this machine");
	case PRINCIPAL_NO_MEMORY:
		break;
	}
	s->report->no_memory = true;
	return false;
}

static bool
store_principals(const struct setting *s, const struct node *n)
{
	const struct node *item = n->type == NODE_LIST ? n->item : n;
	size_t count = n->type == NODE_LIST ? n->count : 1;
	struct config_principals who = {0}, *at = field(s);
	bool ok = true;

	if (n->type == NODE_MAP)
		return complain(s, n, "a list");
	if (count > STRINGS_MAX)
		return complain(s, n, "a list of at most 1024");
	if (count && !(who.item = memory_new(count * sizeof(*who.item)))) {
		s->report->no_memory = true;
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (item[i].type != NODE_BAD && read_principal(s, &item[i], &who.item[who.count]))
			who.count++;
		else
			ok = false;
	}
	if (!ok) {
		config_principals_clear(&who);
		return false;
	}
	config_principals_clear(at);
	*at = who;
	return true;
}

static bool
store_address(const struct setting *s, const struct node *n)
{
	char why[200], *path, *text = NULL;
	const char *unix_path;

	if (!is_text(s, n, "an address (unix:PATH, tcp:HOST:PORT or tls:HOST:PORT)", 1, TEXT_MAX))
		return false;
	if (!(unix_path = listen_unix_path(n->text)))
		return listen_expected(n->text, why, sizeof(why)) ? complain(s, n, why) : store_text(s, memory_text(n->text, n->len));
	path = *unix_path ? setting_path(s, n, unix_path) : NULL;
	if (!*unix_path || (path && strlen(path) > LISTEN_PATH_MAX))
		complain(s, n, "a socket's path of 1 to 107 bytes");
	else if (path && !(text = memory_new(strlen(path) + sizeof("unix:"))))
		s->report->no_memory = true;
	if (text)
		snprintf(text, strlen(path) + sizeof("unix:"), "unix:%s", path);
	free(path);
	return text && store_text(s, text);
}

static bool
store_auth(const struct setting *s, const struct node *n)
{
	enum config_auth *at = field(s);

	if (n->type == NODE_SCALAR && !strcmp(n->text, "token"))
		*at = CONFIG_AUTH_TOKEN;
	else if (n->type == NODE_SCALAR && !strcmp(n->text, "certificate"))
		*at = CONFIG_AUTH_CERTIFICATE;
	else
		return complain(s, n, "token or certificate");
	return true;
}

/* tcp: with a loopback address and a port: what is served there is served to whoever asks. */
static bool
is_loopback(const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port, part;
	size_t host;

	if (!colon || number_parse(NUMBER_COUNT, colon + 1, &port) != NUMBER_OK || port < 1 || port > 65535)
		return false;
	host = (size_t)(colon - text);
	if ((host == 9 && !strncmp(text, "localhost", host)) || (host == 5 && !strncmp(text, "[::1]", host)))
		return true;
	for (unsigned i = 0; i < 4; i++) {
		char number[4] = "";
		size_t len = strspn(text, "0123456789");
		if (!len || len > 3 || text[len] != (i < 3 ? '.' : ':'))
			return false;
		memcpy(number, text, len);
		if (number_parse(NUMBER_COUNT, number, &part) != NUMBER_OK || part > 255 || (i == 0 && part != 127))
			return false;
		text += len + 1;
	}
	return text == colon + 1;
}

static bool
store_http(const struct setting *s, const struct node *n)
{
	static const char expected[] = "unix:PATH, or tcp:HOST:PORT with a loopback address (whoever asks is answered), or null";
	char *path, *text;

	if (is_explicit_null(n))
		return true;
	if (n->type != NODE_SCALAR || strlen(n->text) != n->len || (strncmp(n->text, "unix:", 5) != 0 && strncmp(n->text, "tcp:", 4) != 0))
		return complain(s, n, expected);
	if (n->text[0] == 't')
		return is_loopback(n->text + 4) ? store_text(s, memory_text(n->text, n->len)) : complain(s, n, expected);
	if (!n->text[5] || !(path = setting_path(s, n, n->text + 5)))
		return n->text[5] ? false : complain(s, n, expected);
	if (strlen(path) > LISTEN_PATH_MAX) {
		free(path);
		return complain(s, n, "a socket's path of at most 107 bytes");
	}
	if ((text = memory_new(strlen(path) + sizeof("unix:"))))
		snprintf(text, strlen(path) + sizeof("unix:"), "unix:%s", path);
	free(path);
	return store_text(s, text);
}

static bool
store_runtime(const struct setting *s, const struct node *n)
{
	if (n->type == NODE_LIST && !n->count)
		return complain(s, n, "a runtime or a program and its arguments");
	if (n->type == NODE_LIST && n->item[0].type == NODE_SCALAR && !n->item[0].len)
		return complain(s, &n->item[0], "a program");
	return store_strings(s, n, "a runtime or a list of strings", 0, make_text);
}

/* "NAME=value" from a pair; NULL where one is not what it should be. */
static char *
make_variable(const struct setting *s, const struct node *name, const struct node *value)
{
	struct setting inner = *s;
	char path[REPORT_KEY], *text;
	size_t size;

	if (name->type == NODE_BAD || value->type == NODE_BAD)
		return NULL;
	if (name->type != NODE_SCALAR || !name->len || strlen(name->text) != name->len || strchr(name->text, '=')) {
		complain(s, name, "a variable's name without =");
		return NULL;
	}
	snprintf(path, sizeof(path), "%s", s->path);
	report_key(path, name->text, name->len);
	inner.path = path;
	if (!is_text(&inner, value, "a string", 0, ENV_MAX))
		return NULL;
	size = name->len + value->len + 2;
	if (size > ENV_MAX) {
		complain(&inner, value, "a name and value of at most 131071 bytes");
		return NULL;
	}
	text = memory_new(size);
	if (text)
		snprintf(text, size, "%s=%s", name->text, value->text);
	else
		s->report->no_memory = true;
	return text;
}

static bool
store_env(const struct setting *s, const struct node *n)
{
	struct config_strings strings = {0}, *at = field(s);
	size_t i;

	if (n->type != NODE_MAP || n->count / 2 > STRINGS_MAX)
		return complain(s, n, "a map of at most 1024 names to values");
	if (n->count && !(strings.item = memory_new(n->count / 2 * sizeof(char *)))) {
		s->report->no_memory = true;
		return false;
	}
	for (i = 0; i < n->count; i += 2) {
		char *text = make_variable(s, &n->item[i], &n->item[i + 1]);

		if (text)
			strings.item[strings.count++] = text;
	}
	if (strings.count != n->count / 2) {
		config_strings_clear(&strings);
		return false;
	}
	*at = strings;
	return true;
}

static bool
store_values(const struct setting *s, const struct node *n)
{
	struct config_pool *pool = s->object;

	if (n->type != NODE_LIST)
		return complain(s, n, "a list");
	return initargs_encode(n, s->path, s->report, &pool->initargs, &pool->initargs_len);
}

bool
setting_store(const struct setting *s, const struct node *n)
{
	switch (s->key->type) {
	case KEY_BOOL:
		return store_bool(s, n);
	case KEY_COUNT:
	case KEY_AUTO:
	case KEY_SIZE:
	case KEY_DURATION:
	case KEY_SHARE:
		return store_number(s, n);
	case KEY_MODE:
		return store_mode(s, n);
	case KEY_TEXT:
		return store_string(s, n);
	case KEY_PATH:
		return store_path(s, n);
	case KEY_CHOICE:
		return store_choice(s, n);
	case KEY_KIND:
		return store_kind(s, n);
	case KEY_RUNTIME:
		return store_runtime(s, n);
	case KEY_TEXTS:
		return store_strings(s, n, "a string or a list of strings", 1, make_text);
	case KEY_ADDRESS:
		return store_address(s, n);
	case KEY_AUTH:
		return store_auth(s, n);
	case KEY_HTTP:
		return store_http(s, n);
	case KEY_STORE:
		return store_store(s, n);
	case KEY_PRINCIPALS:
		return store_principals(s, n);
	case KEY_ENV:
		return store_env(s, n);
	case KEY_VALUES:
		return store_values(s, n);
	case KEY_GROUP:
	case KEY_POOLS:
	case KEY_LISTEN:
		break;
	}
	return false;
}

bool
setting_default(const struct setting *s)
{
	char *text;
	struct node n = {.type = NODE_SCALAR, .plain = true};
	bool ok;

	if (!s->key->standard)
		return true;
	n.text = text = memory_text(s->key->standard, strlen(s->key->standard));
	if (!text) {
		s->report->no_memory = true;
		return false;
	}
	n.len = strlen(text);
	ok = setting_store(s, &n);
	free(text);
	return ok;
}
