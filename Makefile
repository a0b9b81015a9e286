# leat: the few commands people type. The build itself is meson + ninja; this file only calls them.
BUILD := build

.PHONY: all clean format

all:
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	ninja -C $(BUILD)

clean:
	rm -rf $(BUILD)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')
