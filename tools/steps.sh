# Helpers of test.sh and demo.sh.

# step NAME COMMAND...: says what runs and, when it fails, what failed.
step() {
    step_name=$1
    shift
    echo "== $step_name"
    "$@" || {
        step_status=$?
        echo "== $step_name: failed, status $step_status" >&2
        exit "$step_status"
    }
}

# configure PRESET FOLDER: once; cmake itself notices changed files.
configure() {
    [ -f "$2/.preset-$1" ] && [ -f "$2/build.ninja" ] && return
    step "configure $1" cmake --preset "$1" -Wno-dev >/dev/null
    touch "$2/.preset-$1"
}

# build FOLDER TARGET...: on a terminal ninja shows one moving line, elsewhere only what goes wrong.
build() {
    build_folder=$1
    shift
    if [ -t 1 ]; then
        cmake --build "$build_folder" --target "$@"
    else
        cmake --build "$build_folder" --target "$@" -- --quiet
    fi
}
