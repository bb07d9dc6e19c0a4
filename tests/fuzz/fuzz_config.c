/* Any bytes as a configuration: refused with a report, or a struct in which every promise of config.h holds.
 *
 * Built with -fsanitize=fuzzer,address,undefined from this file and all of config/, linked with libyaml.
 * A run of config/futured.yaml and the cases of tests/data/config as its corpus reaches every key. */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect(bool holds)
{
	if (!holds)
		abort();
}

static void
expect_strings(const struct config_strings *s)
{
	size_t i;

	expect(!s->count || s->item);
	for (i = 0; i < s->count; i++)
		expect(s->item[i] && strlen(s->item[i]) < 131072);
}

static void
expect_pool(const struct config_pool *p)
{
	size_t name = strlen(p->name);

	expect(name >= 1 && name <= 64);
	expect(p->kind <= CONFIG_INTERPRETER);
	expect((p->kind == CONFIG_COMMAND) == (p->runtime.count == 0));
	expect(p->workers <= 1024);
	expect(p->queue >= 1);
	expect(p->kind != CONFIG_THREAD || p->timeout_us == 0);
	expect(p->initargs && p->initargs_len);
	expect(!p->cwd || p->cwd[0] == '/');
	expect(!p->script || p->script[0] == '/');
	expect_strings(&p->runtime);
	expect_strings(&p->modules);
	expect_strings(&p->env);
}

/* Each line names the file and can be shown on a terminal. */
static void
expect_report(const char *text)
{
	const char *at;

	expect(!strncmp(text, "fuzz:", 5));
	for (at = text; *at; at++)
		expect(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = NULL;
	size_t len = 0, i;
	FILE *errors = open_memstream(&text, &len);
	struct config *c;

	expect(errors != NULL);
	c = config_parse("fuzz", (const char *)data, size, errors);
	fclose(errors);
	if (!c) {
		expect_report(text);
	} else {
		expect(!len && c->pools >= 1 && c->pools <= 256 && c->store && c->log_level);
		for (i = 0; i < c->listens; i++)
			expect(c->listen[i].address && (c->listen[i].auth == CONFIG_AUTH_PEER) == !strncmp(c->listen[i].address, "unix:", 5));
		for (i = 0; i < c->pools; i++)
			expect_pool(&c->pool[i]);
	}
	config_free(c);
	free(text);
	return 0;
}
