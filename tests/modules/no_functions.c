/* A module with nothing in its table. */
#include <futured_task.h>

static const struct futured_function functions[] = {{NULL, NULL, NULL}};

FUTURED_MODULE("no_functions", functions, NULL, NULL);
