/*
 * What CRC-32C costs, by each way of src/base/crc32c.c and by libisal where it was found: the time
 * of one thread over memory in the cache (64 KiB) and beyond it (64 MiB), best and median of
 * several rounds, in GB/s.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crc32c.h"
#include "micro.h"

#ifdef HAVE_ISAL
#include <isa-l/crc.h>

static uint32_t by_isal(uint32_t crc, const void *data, size_t len)
{
	/* Its prototype lacks a const; sizes are int. */
	return ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)len, ~crc);
}
#endif

#define ROUNDS 9
#define VOLUME (UINT64_C(256) << 20) /* bytes a round */

static void measure(const char *name, uint32_t (*run)(uint32_t, const void *, size_t),
		    const char *memory, size_t block, size_t extent)
{
	double rate[ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		double start = micro_cpu_ns();

		for (uint64_t done = 0; done < VOLUME; done += block) {
			uint32_t crc = run(0, memory + done % extent, block);

			__asm__ volatile("" : : "r"(crc));
		}
		rate[round] = (double)VOLUME / (micro_cpu_ns() - start);
	}
	qsort(rate, ROUNDS, sizeof(rate[0]), micro_by_value);
	printf("%-44s %8zu B blocks in %5zu KiB: %6.2f GB/s (best %.2f)\n", name, block,
	       extent >> 10, rate[ROUNDS / 2], rate[ROUNDS - 1]);
}

int main(void)
{
	static const struct {
		size_t block, extent;
	} sizes[] = {{128, 1 << 16}, {1024, 1 << 16}, {16384, 1 << 16}, {1 << 20, 64 << 20}};
	char *memory = malloc(64 << 20);

	if (!memory)
		return 1;
	for (size_t i = 0; i < 64 << 20; i++)
		memory[i] = (char)(i * 2654435761u >> 13);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (size_t w = 0; w < crc32c_ways_count; w++)
			if (crc32c_ways[w].usable())
				measure(crc32c_ways[w].name, crc32c_ways[w].run, memory,
					sizes[s].block, sizes[s].extent);
#ifdef HAVE_ISAL
		measure("libisal", by_isal, memory, sizes[s].block, sizes[s].extent);
#endif
	}
	free(memory);
	return 0;
}
