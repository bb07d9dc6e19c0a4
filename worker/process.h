/* Starting one program, with nothing of ours in it: descriptors exactly 0, 1 and 2, every signal at its default and none
 * blocked, a session of its own, and the settings that the task asked for.
 *
 * The caller's memory is lent to the child until it has called exec (vfork), so the cost does not depend on the host's size.
 * One thread at a time; every signal must be blocked in it, and every disposition be the default. */
#ifndef FUTURED_WORKER_PROCESS_H
#define FUTURED_WORKER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { PROCESS_LIMITS_MAX = 8, PROCESS_LIMIT_CPUS = -1 /* as a resource; microseconds a second, and only for a cgroup */ };

struct process_limit {
	const char *name; /* as in `limits`, for the sentence when it cannot be set */
	int resource;     /* RLIMIT_… */
	struct rlimit value;
};

/* What to start; all pointers are borrowed until process_start returns. */
struct process_plan {
	char *const *argv;  /* ended by NULL; argv[0] is the program: looked up in `path` if it has no slash */
	char *const *env;   /* ended by NULL */
	const char *path;   /* directories separated by colons */
	const char *cwd;    /* NULL: stay */
	bool has_umask;
	mode_t umask;
	int nice;           /* added to ours; 0: none */
	struct process_limit limit[PROCESS_LIMITS_MAX];
	size_t limit_count;
	int cgroup;         /* directory of the cgroup to start in; -1: none */
	int cgroup_procs;   /* its cgroup.procs, for when we may not start in it */
	int in, out, err;   /* become 0, 1, 2; all above 2. in -1: /dev/null, opened anew */
};

/* What kept it from starting. */
enum process_step { PROCESS_CLONE, PROCESS_CGROUP, PROCESS_CWD, PROCESS_LIMIT, PROCESS_NICE, PROCESS_DESCRIPTORS, PROCESS_EXEC };

struct process_failure {
	enum process_step step;
	int error;       /* errno */
	size_t limit;    /* PROCESS_LIMIT: which */
};

/* Prepares the stack that children begin on. False without memory. Call once. */
bool process_init(void);

/* The new child, or -1 and *why. A child that could not exec has been reaped already. */
pid_t process_start(const struct process_plan *plan, struct process_failure *why);

/* The exit status a shell gives for it: 127 if the program was not found, else 126. */
int process_failure_exit(const struct process_failure *why);
/* A sentence for a person, cut to size. */
void process_failure_text(const struct process_plan *plan, const struct process_failure *why, char *text, size_t size);

#endif
