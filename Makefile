# Everything is built by CMake and Ninja; this file only spares the typing.
PREFIX ?= /usr/local

all:
	@test -f build/build.ninja || cmake --preset release
	@cmake --build build

demo:
	@sh demo.sh

test:
	@sh test.sh

# Networks exported by PyTorch itself; large downloads, not part of test.
test-torch: all
	@sh tools/venv_torch.sh
	@nice .venv-torch/bin/python tests/zoo/zoo.py $(ZOO)

install: all
	cmake --install build --prefix $(PREFIX)

clean:
	rm -rf build build-asan build-dev build-fuzz

.PHONY: all demo test test-torch install clean
