# Everything is built by CMake and Ninja; this file only spares the typing.
PREFIX ?= /usr/local

all:
	@test -f build/build.ninja || cmake --preset release
	@cmake --build build

demo:
	@sh demo.sh

test:
	@sh test.sh

install: all
	cmake --install build --prefix $(PREFIX)

clean:
	rm -rf build build-asan build-dev build-fuzz

.PHONY: all demo test install clean
