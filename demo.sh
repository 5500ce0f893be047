#!/bin/sh
# The demo: sh demo.sh. Installs what is missing, builds, converts the bundled network of handwritten digits,
# proves the result and runs it on pictures.
set -eu
cd "$(dirname "$0")"
. tools/steps.sh

sh tools/setup.sh build
configure release build
step "build" build build tolite_cli
digits=examples/digits
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
program=$PWD/build/tolite
run() {
    echo "\$ tolite $*"
    "$program" "$@"
    echo
}
cp $digits/digits.pt2 $digits/held_out.npz $digits/labels.txt $digits/[0-9].png "$out"
cd "$out"
run convert digits.pt2 --verify --golden held_out.npz
run diff digits.pt2 digits.tflite --in held_out.npz
run run digits.tflite --image ?.png --labels labels.txt --top 1
