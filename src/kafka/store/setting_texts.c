#include "kafka/store/setting_texts.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"

static struct {
	pthread_mutex_t lock;
	struct slice list[SETTING_TEXTS_MAX];
	int64_t count;
} texts = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. */
static int add_text(struct slice text, int64_t *ret)
{
	char *copy;

	if (texts.count == SETTING_TEXTS_MAX)
		return -ENOSPC;
	copy = malloc(text.len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text.ptr, text.len);
	texts.list[texts.count++] = slice_make(copy, text.len);
	*ret = texts.count;
	return 0;
}

int setting_text_number(struct slice text, int64_t *ret)
{
	int64_t found = 0;
	int r = 0;

	if (text.len > SETTING_TEXT_MAX)
		return -ERANGE;
	if (text.len == 0) {
		*ret = 0;
		return 0;
	}
	pthread_mutex_lock(&texts.lock);
	for (int64_t i = 0; i < texts.count && found == 0; i++)
		if (slice_eq(texts.list[i], text))
			found = i + 1;
	if (found == 0)
		r = add_text(text, &found);
	pthread_mutex_unlock(&texts.lock);
	if (r == 0)
		*ret = found;
	return r;
}

struct slice setting_text(int64_t number)
{
	struct slice text;

	if (number == 0)
		return slice_make("", 0);
	pthread_mutex_lock(&texts.lock);
	CHECK(number > 0 && number <= texts.count);
	text = texts.list[number - 1];
	pthread_mutex_unlock(&texts.lock);
	return text;
}
