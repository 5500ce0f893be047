#!/bin/sh
# The demo: sh demo.sh. Installs what is missing, builds, converts the bundled network of handwritten digits,
# proves the result and runs it on pictures.
set -eu
cd "$(dirname "$0")"
. tools/steps.sh

sh tools/setup.sh build
configure release build
step "build" cmake --build build --target tolite_cli
digits=examples/digits
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
run() {
    echo "\$ tolite $*"
    build/tolite "$@"
    echo
}
run convert $digits/digits.onnx -o "$out/digits.tflite" --verify --golden $digits/held_out.npz
run diff $digits/digits.onnx "$out/digits.tflite" --in $digits/held_out.npz
run run "$out/digits.tflite" --image $digits/[0-9].png --labels $digits/labels.txt --top 1
