#!/bin/sh
# All tests: sh test.sh. Installs what is missing, builds twice (gcc optimised, clang with sanitizers), runs
# the checks of the tree, the unit tests of both builds, then the oracle tests against onnxruntime and LiteRT.
set -eu
cd "$(dirname "$0")"
. tools/steps.sh

sh tools/setup.sh test
step "layers" python3 tools/check_layers
step "order of evaluation" python3 tools/check_order
step "tables" python3 tools/check_tables
configure test build
step "build, gcc" build build all unit_tests
configure asan build-asan
step "build, clang with sanitizers" build build-asan all unit_tests
step "unit tests, gcc" ctest --test-dir build --output-on-failure -j2
step "unit tests, clang with sanitizers" ctest --test-dir build-asan --output-on-failure -j2
sh tools/venv.sh
export TOLITE_ASAN="$PWD/build-asan/tolite"
step "oracle tests" .venv/bin/python -m pytest -q -rs tests "$@"
