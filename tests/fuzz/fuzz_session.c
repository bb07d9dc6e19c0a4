/* Whatever clients say, to a daemon whose workers do as they should: the request dispatcher, with futures, pools and all behind it. */
#include "tests/fuzz/core.h"
#include "tests/fuzz/mutate.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	core_start();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= 65536)
		core_run(data, size, 1 << CORE_SAY | 1 << CORE_LEAVE | 1 << CORE_HEAR | 1 << CORE_TURN | 1 << CORE_SERVE | 1 << CORE_DIE);
	return 0;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	return mutate(data, size, max, seed, CORE_ANSWER);
}
