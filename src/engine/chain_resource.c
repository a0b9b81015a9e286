/*
 * What a chain borrows from its engine while bytes are on their way: a pipe, a bounce buffer, a
 * mapping.
 */
#include <errno.h>
#include <sys/mman.h>

#include "engine/chain_internal.h"

/* A mapping is made this long at least (it costs nothing to map what is not touched), so that it
 * serves several chunks. */
#define MAPPING_BYTES (8u * 1024u * 1024u)

int chain_take_pipe(struct leat_chain *chain)
{
	if (chain->pipe.read_fd >= 0)
		return 0;
	return engine_take_pipe(chain->engine, &chain->pipe);
}

void chain_give_pipe(struct leat_chain *chain)
{
	if (chain->pipe.read_fd < 0)
		return;
	engine_give_pipe(chain->engine, &chain->pipe, chain->piped == 0);
	chain->piped = 0;
}

int chain_take_bounce(struct leat_chain *chain)
{
	if (chain->bounce.data)
		return 0;
	chain->bounce.data = engine_take_bounce(chain->engine);
	chain->bounce.start = chain->bounce.end = 0;
	return chain->bounce.data ? 0 : -ENOMEM;
}

void chain_give_bounce(struct leat_chain *chain)
{
	if (!chain->bounce.data)
		return;
	engine_give_bounce(chain->engine, chain->bounce.data);
	chain->bounce = (struct bounce){NULL, 0, 0};
}

void chain_unmap(struct leat_chain *chain)
{
	if (!chain->mapping.address)
		return;
	sys_munmap(chain->mapping.address, chain->mapping.length);
	chain_syscall(chain);
	chain->mapping = (struct mapping){.fd = -1};
}

int chain_map(struct leat_chain *chain, int fd, uint64_t offset, size_t length, const char **ret)
{
	struct mapping *mapping = &chain->mapping;
	uint64_t start = offset & ~(uint64_t)(chain->engine->page_bytes - 1);
	size_t wanted = (size_t)(offset - start) + length;
	void *address;
	int error = 0;

	if (mapping->address && mapping->fd == fd && offset >= mapping->offset &&
	    offset + length <= mapping->offset + mapping->length) {
		*ret = mapping->address + (offset - mapping->offset);
		return 0;
	}
	chain_unmap(chain);
	if (wanted < MAPPING_BYTES)
		wanted = MAPPING_BYTES;
	address = sys_mmap(wanted, PROT_READ, MAP_SHARED, fd, start, &error);
	chain_syscall(chain);
	if (!address)
		return error;
	*mapping = (struct mapping){address, wanted, start, fd};
	*ret = mapping->address + (offset - start);
	return 0;
}
