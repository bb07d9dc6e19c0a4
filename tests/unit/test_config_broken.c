/* Configurations that are wrong are refused with the place and the key, whatever they are, and whatever fails on the way.
 * The cases are in tests/data/config/broken.txt; runs in the project's top directory. */
#include "tests/unit/config_text.h"

#include <sys/stat.h>
#include <unistd.h>

#include "config/memory.h"

#define BROKEN "tests/data/config/broken.txt"
enum { MIB = 1 << 20, EXPECTED_MAX = 8 };

/* --- the table --- */

struct broken {
	char *expected[EXPECTED_MAX]; /* "LINE:COL key: text ... more" */
	size_t count;
	char *text;
	size_t len;
};

/* Whether a report's line is what was expected: its place and the text's beginning, then each part somewhere behind. */
static bool
line_matches(const char *line, const char *expected)
{
	char start[600], *gap;
	int place = (int)strcspn(expected, " ");
	const char *text = expected + place + 1;

	snprintf(start, sizeof(start), "t.yaml:%.*s: %s", place, expected, text);
	gap = strstr(start, " ... ");
	if (gap)
		*gap = '\0';
	return !strncmp(line, start, strlen(start)) && (!gap || strstr(line + strlen(start), gap + 5));
}

static void
broken_is_refused(const struct broken *b)
{
	char *errors = NULL, *line, *rest;
	struct config *c = parse_bytes(b->text, b->len, &errors);
	size_t i;

	if (c)
		fail_msg("accepted: %s", b->text);
	rest = errors;
	for (i = 0; (line = strsep(&rest, "\n")) != NULL && *line; i++)
		if (i >= b->count || !line_matches(line, b->expected[i]))
			fail_msg("%s\nexpected: %s\ngot: %s", b->text, i < b->count ? b->expected[i] : "no more", line);
	assert_int_equal(i, b->count);
	free(errors);
}

static void
every_broken_configuration_is_refused_at_its_place(void **state)
{
	FILE *in = fopen(BROKEN, "r");
	struct broken b = {.count = 0};
	char *line = NULL;
	size_t size = 0, cases = 0, i;
	FILE *text = NULL;
	ssize_t n;

	(void)state;
	assert_non_null(in);
	for (;;) {
		n = getline(&line, &size, in);
		if (text && (n < 0 || !strncmp(line, "### ", 4))) {
			fclose(text);
			text = NULL;
			if (b.len) {
				broken_is_refused(&b);
				cases++;
				for (i = 0; i < b.count; i++)
					free(b.expected[i]);
				b.count = 0;
			}
			free(b.text);
		}
		if (n < 0)
			break;
		if (!strncmp(line, "### ", 4)) {
			assert_true(b.count < EXPECTED_MAX);
			b.expected[b.count++] = strndup(line + 4, strcspn(line + 4, "\n"));
			text = open_memstream(&b.text, &b.len);
		} else if (text && *line != '\n') {
			fputs(line, text);
		}
	}
	free(line);
	fclose(in);
	assert_true(cases >= 200);
}

/* --- what no table can hold --- */

/* `unit` again and again up to `bytes`, between the other two. */
static void
refused_repeat(const char *before, const char *unit, size_t bytes, const char *after, const char *fragment)
{
	char *text = NULL;
	size_t len = 0, done;
	FILE *out = open_memstream(&text, &len);

	fputs(before, out);
	for (done = 0; done < bytes; done += strlen(unit))
		fputs(unit, out);
	fputs(after, out);
	fclose(out);
	refused(text, len, fragment);
	free(text);
}

/* Each of these costs libyaml's document loader, or a naive check, seconds to hours. The alarm ends a test that hangs. */
static void
costly_texts_are_refused_early(void **state)
{
	(void)state;
	alarm(30);
	refused_repeat("", "[", 200000, "", "t.yaml:1:17: expected nesting of at most 16 levels");
	refused_repeat("", "[\n", 200000, "", "t.yaml:17:1: expected nesting");
	refused_repeat("", "{a: ", 200000, "", "expected nesting");
	refused_repeat("", "- ", 200000, "", "expected nesting");
	refused_repeat("", "? ", 200000, "", "expected nesting");
	refused_repeat("a: ", "[{b: ", 200000, "", "expected nesting");
	refused_repeat("", "%TAG !a! b\n", 900000, "---\n", "t.yaml:1:1: expected YAML without directives");
	refused_repeat("#\xc2\x85", "%TAG !a! b\xc2\x85", 1000, "---\n", "expected YAML without directives");
	refused_repeat("#\xe2\x80\xa8", "%TAG !a! b\xe2\x80\xa8", 1000, "---\n", "expected YAML without directives");
	refused_repeat("", "a: 1\n", 1000000, "", "expected at most 65536 values");
	refused_repeat("listen: [", "a,", 1000000, "]", "listen: expected at most 65536 values");
	refused_repeat("", "---\n", 1000000, "", "t.yaml:2:1: expected one document");
	refused_repeat("", "*a ", 1000000, "", "t.yaml:1:1: expected a value, got an alias");
	refused_repeat("b: &a [", "*a,", 100000, "]", "b: expected a value, got an alias");
	refused_repeat("", "!", 1000000, "", "t.yaml:1:1: expected a value without a tag");
	refused_repeat("", "\"\\n", 1000000, "", "expected YAML");
	refused_repeat("state_dir: /", "a", 1000000, "", "t.yaml:1:12: state_dir: expected a path or null of at most 4095 bytes");
	refused_repeat("pools: {p: {env: {A: ", "a", 1000000, "}}}", "pools.p.env.A: expected a string of at most 131071 bytes");
	refused_repeat("\"", "k", 500, "\": 1", "t.yaml:1:1: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...: expected a known key");
	refused_repeat("", "#", MIB, "#", "t.yaml: expected at most 1 MiB");
	alarm(0);
}

static void
sixteen_levels_are_allowed(void **state)
{
	struct config *c = parse_good("pools: {p: {kind: interpreter, initializer: f, initargs: [[[[[[[[[[[[[1]]]]]]]]]]]]]}}");

	(void)state;
	assert_int_equal(c->pool[0].initargs_len, 13 * 5 + 1);
	config_free(c);
	refused_text("pools: {p: {kind: interpreter, initializer: f, initargs: [[[[[[[[[[[[[[1]]]]]]]]]]]]]]}}",
		"t.yaml:1:71: pools.p.initargs: expected nesting of at most 16 levels");
}

static void
one_mebibyte_is_allowed(void **state)
{
	char *text = malloc(MIB + 1);
	struct config *c;

	(void)state;
	memset(text, '#', MIB);
	text[MIB] = '\0';
	c = parse_good(text);
	config_free(c);
	free(text);
}

static void
bytes_that_are_no_text_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *fragment;
	} t[] = {
		{"retain: 1h\n\0", 12, "t.yaml:2:1: expected YAML, got an error: control characters are not allowed"},
		{"retain: 1\0h\n", 12, "t.yaml:1:10: expected YAML"},
		{"\0", 1, "t.yaml:1:1: expected YAML"},
		{"retain: \xff\n", 10, "t.yaml:1:9: expected YAML, got an error: invalid leading UTF-8 octet"},
		{"a: \xc3", 4, "t.yaml:1:4: expected YAML, got an error: incomplete UTF-8 octet sequence"},
		{"a: \xed\xa0\x80", 6, "t.yaml:1:4: expected YAML, got an error: invalid Unicode character"},
		{"a: \xc0\x80", 5, "t.yaml:1:4: expected YAML"},
		{"a: \x1b[31m", 8, "t.yaml:1:4: expected YAML, got an error: control characters"},
		{"a: \x7f", 4, "t.yaml:1:4: expected YAML, got an error: control characters"},
		{"\xff\xfer\0e\0t\0", 8, "t.yaml:1:1: expected YAML"},
		{"\x7f" "ELF\2\1\1\0\0\0", 10, "t.yaml:1:1: expected YAML"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++)
		refused(t[i].bytes, t[i].len, t[i].fragment);
}

/* A million mistakes are a thousand lines and a number; no line has a control character. */
static void
reports_are_bounded_and_printable(void **state)
{
	char *text = NULL, *errors = NULL, *at;
	size_t len = 0, i, lines = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	for (i = 0; i < 1500; i++)
		fprintf(out, "\"k\\e[31m\\a%zu\": 1\n", i);
	fclose(out);
	assert_null(parse_bytes(text, len, &errors));
	for (at = errors; *at; at++) {
		lines += *at == '\n';
		assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
	}
	assert_int_equal(lines, 1001);
	assert_non_null(strstr(errors, "t.yaml: and 500 more mistakes\n"));
	free(errors);
	free(text);
}

/* --- files --- */

struct place {
	char directory[64];
	char path[96];
};

static int
make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->directory, "/tmp/test-config-XXXXXX");
	*state = p;
	if (!p || !mkdtemp(p->directory))
		return -1;
	snprintf(p->path, sizeof(p->path), "%s/f.yaml", p->directory);
	return 0;
}

static int
remove_place(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	rmdir(p->directory);
	free(p);
	return 0;
}

static void
write_file(const struct place *p, const char *text, mode_t mode)
{
	FILE *out = fopen(p->path, "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	assert_int_equal(chmod(p->path, mode), 0);
}

/* Loads it; fragment NULL: it is good, and returned. */
static struct config *
load(const struct place *p, const char *fragment)
{
	char *errors = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&errors, &size);
	struct config *c = config_load(p->path, out);

	fclose(out);
	if (fragment) {
		assert_null(c);
		if (strncmp(errors, p->path, strlen(p->path)) != 0 || !strstr(errors, fragment))
			fail_msg("expected: %s\ngot: %s", fragment, errors);
	} else if (!c) {
		fail_msg("refused: %s", errors);
	}
	free(errors);
	return c;
}

static void
a_file_is_loaded_and_its_paths_start_at_its_directory(void **state)
{
	struct place *p = *state;
	struct config *c;
	char expected[200];

	write_file(p, "listen: unix:run/s\nstate_dir: state\n"
		"pools: {a: {kind: process, modules: [m.so, /n.so], cwd: ../x}, b: {kind: interpreter, script: t.lua}}\n", 0644);
	c = load(p, NULL);
	assert_string_equal(c->path, p->path);
	snprintf(expected, sizeof(expected), "unix:%s/run/s", p->directory);
	assert_string_equal(c->listen[0].address, expected);
	snprintf(expected, sizeof(expected), "%s/state", p->directory);
	assert_string_equal(c->state_dir, expected);
	snprintf(expected, sizeof(expected), "%s/m.so", p->directory);
	assert_string_equal(c->pool[0].modules.item[0], expected);
	assert_string_equal(c->pool[0].modules.item[1], "/n.so");
	snprintf(expected, sizeof(expected), "%s/../x", p->directory);
	assert_string_equal(c->pool[0].cwd, expected);
	snprintf(expected, sizeof(expected), "%s/t.lua", p->directory);
	assert_string_equal(c->pool[1].script, expected);
	config_free(c);
}

static void
a_mistake_in_a_file_names_the_file(void **state)
{
	write_file(*state, "# x\nretain: never\n", 0600);
	load(*state, "f.yaml:2:9: retain: expected a duration");
}

static void
a_file_that_others_may_write_is_refused(void **state)
{
	write_file(*state, "", 0664);
	load(*state, "expected a file that only its owner may write, got mode 0664");
	write_file(*state, "", 0602);
	load(*state, "got mode 0602");
	write_file(*state, "", 0644);
	config_free(load(*state, NULL));
}

static void
a_file_of_another_user_is_refused(void **state)
{
	struct place *p = *state;

	if (geteuid() != 0)
		skip();
	write_file(p, "", 0644);
	assert_int_equal(chown(p->path, 54321, 54321), 0);
	load(p, "expected a file that belongs to root or to user 0, got one of user 54321");
}

static void
what_is_no_file_is_refused_without_waiting(void **state)
{
	struct place *p = *state;

	load(p, "cannot be opened: No such file or directory");
	assert_int_equal(mkfifo(p->path, 0600), 0);
	load(p, "expected a regular file");
	unlink(p->path);
	assert_int_equal(mkdir(p->path, 0700), 0);
	load(p, "expected a regular file");
	rmdir(p->path);
}

static void
a_file_over_one_mebibyte_is_refused(void **state)
{
	struct place *p = *state;

	write_file(p, "# short\n", 0600);
	assert_int_equal(truncate(p->path, (off_t)1 << 40), 0);
	load(p, "expected at most 1 MiB, got 1048577 bytes");
}

/* --- without memory --- */

static size_t allocations_left;

static void *
failing_realloc(void *block, size_t size)
{
	if (!allocations_left)
		return NULL;
	allocations_left--;
	return realloc(block, size);
}

/* Has each kind of value and of mistake, so that every allocation is met. */
static const char everything[] = "listen: [unix:/a, /b]\nstate_dir: /s\nstore: memory\nlog: {level: debug}\npools:\n"
	"  a: {kind: process, modules: [/m.so], initializer: f, initargs: [1, {a: [b]}], env: {A: 1, B: 2}, cwd: /c}\n"
	"  b: {kind: interpreter, script: /s.lua}\n  c: {kind: process, runtime: [x, y]}\n";

static void
running_out_of_memory_is_reported_wherever_it_happens(void **state)
{
	size_t n, failed = 0;
	bool done = false;

	(void)state;
	for (n = 0; !done; n++) {
		char *errors = NULL;
		struct config *c;

		allocations_left = n;
		memory_realloc = failing_realloc;
		c = parse_bytes(everything, strlen(everything), &errors);
		memory_realloc = realloc;
		done = c != NULL;
		if (!done && !strstr(errors, "out of memory"))
			fail_msg("allocation %zu failed: %s", n, errors);
		failed += !done;
		config_free(c);
		free(errors);
		assert_true(n < 10000);
	}
	assert_true(failed > 100);
}

static void
running_out_of_memory_while_reporting_is_reported(void **state)
{
	static const char text[] = "retain: x\nretian: 1\nlog: 1\npools: {p: {workers: 0}}";
	size_t n;

	(void)state;
	for (n = 0; n < 300; n++) {
		char *errors = NULL;

		allocations_left = n;
		memory_realloc = failing_realloc;
		assert_null(parse_bytes(text, strlen(text), &errors));
		memory_realloc = realloc;
		assert_true(strlen(errors) > 0);
		free(errors);
	}
}

static void
defaults_without_memory_are_null(void **state)
{
	struct config *c = NULL;
	size_t n;

	(void)state;
	for (n = 0; !c; n++) {
		allocations_left = n;
		memory_realloc = failing_realloc;
		c = config_default();
		memory_realloc = realloc;
		assert_true(n < 1000);
	}
	assert_true(n > 10);
	config_free(c);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_broken_configuration_is_refused_at_its_place),
		cmocka_unit_test(costly_texts_are_refused_early),
		cmocka_unit_test(sixteen_levels_are_allowed),
		cmocka_unit_test(one_mebibyte_is_allowed),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(reports_are_bounded_and_printable),
		IN_PLACE(a_file_is_loaded_and_its_paths_start_at_its_directory),
		IN_PLACE(a_mistake_in_a_file_names_the_file),
		IN_PLACE(a_file_that_others_may_write_is_refused),
		IN_PLACE(a_file_of_another_user_is_refused),
		IN_PLACE(what_is_no_file_is_refused_without_waiting),
		IN_PLACE(a_file_over_one_mebibyte_is_refused),
		cmocka_unit_test(running_out_of_memory_is_reported_wherever_it_happens),
		cmocka_unit_test(running_out_of_memory_while_reporting_is_reported),
		cmocka_unit_test(defaults_without_memory_are_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
