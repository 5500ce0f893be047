# Installs what is missing, on Debian and Ubuntu: sh tools/setup.sh build|test
# Does nothing, quickly, when everything is there.
set -eu
packages="gcc libc6-dev cmake ninja-build pkg-config zlib1g-dev libpng-dev libturbojpeg0-dev"
[ "${1:-build}" = test ] && packages="$packages clang libclang-rt-dev libcmocka-dev python3 python3-venv"

missing=
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) || status=
    [ "${status%${status#ii}}" = ii ] || missing="$missing $package"
done
# Tools that came by another way count too.
keep=
for package in $missing; do
    case $package in
    libc6-dev) [ -e /usr/include/stdio.h ] && continue ;;
    gcc | cmake | clang | python3) command -v "$package" >/dev/null && continue ;;
    ninja-build) command -v ninja >/dev/null && continue ;;
    pkg-config) command -v pkg-config >/dev/null && continue ;;
    python3-venv) python3 -c 'import venv, ensurepip' 2>/dev/null && continue ;;
    libclang-rt-dev) ls "$(clang -print-resource-dir 2>/dev/null)"/lib/*/libclang_rt.asan* >/dev/null 2>&1 && continue ;;
    esac
    keep="$keep $package"
done
[ -z "$keep" ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: missing:$keep; expected Debian or Ubuntu with apt-get; please install them by hand" >&2
    exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "setup: installing$keep" >&2
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $keep >/dev/null
