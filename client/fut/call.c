/* fut call: call a function and print its value. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fut/args.h"
#include "client/fut/json.h"
#include "client/fut/outcome.h"
#include "client/fut/reach.h"
#include "client/fut/show.h"

enum { CALL_ARGS = OPTION_LONG, CALL_KWARGS, CALL_TIMEOUT, CALL_PRIORITY };

struct call {
	struct fut *f;
	const char *args_json, *kwargs_json;
	double timeout;
	int64_t priority;
	bool has_priority;
};

static char *
read_stdin(size_t *len)
{
	char *text = NULL;
	size_t cap = 0;
	ssize_t n = 1;

	for (*len = 0; n > 0; *len += n > 0 ? (size_t)n : 0) {
		if (*len == cap)
			text = need(realloc(text, cap = cap == 0 ? 65536 : cap * 2));
		n = read(STDIN_FILENO, text + *len, cap - *len);
	}
	return text;
}

/* A whole JSON text for an option, "-" for stdin. */
static bool
pack_option(struct fut *f, const char *what, const char *json, enum futured_type type, struct futured_pack *p)
{
	char why[256], *text = NULL;
	size_t len = strlen(json);
	bool well;

	if (strcmp(json, "-") == 0)
		json = text = read_stdin(&len);
	well = jsonin_read(json, len, p, why, sizeof why);
	free(text);
	if (!well)
		args_wrong(f, "%s: not JSON: %s", what, why);
	else if (futured_value_type(futured_pack_value(p)) != type) {
		args_wrong(f, "%s: expected a JSON %s", what, type == FUTURED_TYPE_ARRAY ? "array" : "object");
		well = false;
	}
	return well;
}

static bool
is_integer(const char *text)
{
	text += *text == '-';
	return *text >= '1' && *text <= '9' && text[strspn(text, "0123456789")] == '\0';
}

/* An operand is JSON if it reads as that, else a string: fut call cpu add 2 3, fut call py greet Ada. An integer that is too large is a
 * mistake, not a string. */
static bool
pack_operand(struct fut *f, struct futured_pack *args, const char *text)
{
	struct futured_pack *p = need(futured_pack_new());
	char why[256];
	bool well = jsonin_read(text, strlen(text), p, why, sizeof why);

	if (well)
		futured_pack_copy(args, futured_pack_value(p));
	else if (!is_integer(text))
		futured_pack_text(args, text, strlen(text));
	else
		args_wrong(f, "%.60s does not fit into 64 bits; give it as a string ('\"%.60s\"'), or rounded (%.60s.0)", text, text, text);
	futured_pack_free(p);
	return well || !is_integer(text);
}

static bool
pack_args(struct call *call, char **operands, int count, struct futured_pack *args)
{
	if (call->args_json == NULL) {
		futured_pack_array(args, (size_t)count);
		for (int i = 0; i < count; i++)
			if (!pack_operand(call->f, args, operands[i]))
				return false;
		return true;
	}
	if (count > 0) {
		args_wrong(call->f, "give arguments as operands or with --args, not both");
		return false;
	}
	return pack_option(call->f, "--args", call->args_json, FUTURED_TYPE_ARRAY, args);
}

static bool
set_options(struct call *call, struct futured_options *o)
{
	struct futured_pack *p;
	bool well = true;

	if (call->timeout >= 0)
		futured_options_set(o, "timeout", "d", call->timeout);
	if (call->has_priority)
		futured_options_set(o, "priority", "I", call->priority);
	if (call->kwargs_json == NULL)
		return true;
	p = need(futured_pack_new());
	if ((well = pack_option(call->f, "--kwargs", call->kwargs_json, FUTURED_TYPE_MAP, p)))
		futured_options_set(o, "kwargs", "v", futured_pack_value(p));
	futured_pack_free(p);
	return well;
}

static int
call_function(struct call *call, const char *pool, const char *fn, struct futured_pack *args, struct futured_options *o)
{
	struct futured_pack *p = need(futured_pack_new());
	struct futured_reply *reply = NULL;
	struct fut *f = call->f;
	enum futured_status called;
	int status = reach(f, REACH_OR_START);

	if (status != EXIT_OK)
		goto out;
	futured_packf(p, "ssv", pool, fn, futured_pack_value(args));
	futured_options_pack(o, p);
	called = futured_call(f->c, "call", p, -1, &reply);
	if (called == FUTURED_OK) {
		show_value(f, futured_reply_value(reply));
		status = EXIT_OK;
	} else {
		status = called == FUTURED_TASK || called == FUTURED_EXIT || reply == NULL ? EXIT_FAILED : fut_failed(f);
		fut_refused(f, reply);
	}
out:
	futured_reply_free(reply);
	futured_pack_free(p);
	return status;
}

/* Options stand in front of the function, since its arguments may look like anything; what looks like one of ours is refused, but behind --. */
static bool
take_operands(struct call *call, struct args *a)
{
	bool literal = optind > 1 && strcmp(a->argv[optind - 1], "--") == 0;

	for (int i = 2; i < a->count && !literal; i++) {
		if ((literal = strcmp(a->operands[i], "--") == 0)) {
			memmove(a->operands + i, a->operands + i + 1, (size_t)(a->count - i) * sizeof *a->operands);
			a->count--;
		} else if (args_is_option(a, a->operands[i])) {
			args_wrong(call->f, "%s: options stand in front of the function: fut call %s … POOL FN; as an argument it stands behind --", a->operands[i],
				a->operands[i]);
			return false;
		}
	}
	return true;
}

static int
call_main(struct fut *f, int argc, char **argv)
{
	struct call call = { .f = f, .timeout = -1 };
	struct futured_pack *args;
	struct futured_options *o;
	struct args a;
	int key, status;

	args_init(&a, f, argc, argv, true);
	while ((key = args_next(&a)) != ARGS_END)
		switch (key) {
		case CALL_ARGS:
			call.args_json = a.value;
			break;
		case CALL_KWARGS:
			call.kwargs_json = a.value;
			break;
		case CALL_TIMEOUT:
			if (!args_bound(f, "--timeout", a.value, &call.timeout))
				return EXIT_USAGE;
			break;
		case CALL_PRIORITY:
			if (!(call.has_priority = args_int(f, "--priority", a.value, -32768, 32767, &call.priority)))
				return EXIT_USAGE;
			break;
		default:
			return a.status;
		}
	if (!args_expect(&a, 2, -1))
		return a.status;
	/* --args may stand behind the function as well. */
	if (call.args_json == NULL && a.count == 4 && strcmp(a.operands[2], "--args") == 0) {
		call.args_json = a.operands[3];
		a.count = 2;
	}
	args = need(futured_pack_new());
	o = need(futured_options_new());
	if (take_operands(&call, &a) && pack_args(&call, a.operands + 2, a.count - 2, args) && set_options(&call, o))
		status = call_function(&call, a.operands[0], a.operands[1], args, o);
	else
		status = EXIT_USAGE;
	futured_pack_free(args);
	futured_options_free(o);
	return status;
}

static const struct option_row call_options[] = {
	{ CALL_ARGS, "args", "JSON|-", "the arguments as one JSON array, - reads it from stdin" },
	{ CALL_KWARGS, "kwargs", "JSON", "keyword arguments as a JSON object, where the runtime has them" },
	{ CALL_TIMEOUT, "timeout", "S", "stop it when it has run that long" },
	{ CALL_PRIORITY, "priority", "N", "higher first, -32768 to 32767" },
	{ 0, NULL, NULL, NULL },
};

const struct verb verb_call = {
	.name = "call",
	.operands = "POOL FN [ARG… | --args JSON|-]",
	.summary = "call a function and print its value",
	.examples = "  fut call cpu add 2 3                      # 5\n"
		    "  fut call py greet Ada                     # what is not JSON is a string\n"
		    "  fut call cpu total --args '[[1, 2, 3]]'   # exactly this\n"
		    "  fut call --timeout 5 py build -- --fast   # options, and an argument that looks like one\n"
		    "  fut --json call cpu blob                  # bytes are {\"base64\": \"…\"}, both ways",
	.options = call_options,
	.run = call_main,
};
