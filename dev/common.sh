# What the other scripts share: where things are, the checks, the installation. They source it.
# Nothing is written before every check has passed.

set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
venv=${VENV:-.venv}

fail() {
    echo "glasshouse: $*" >&2
    exit 1
}

check_folders() {
    for path in . "$venv" instance instance/* logs logs/*.log; do
        if [ -e "$path" ] && [ ! -w "$path" ]; then
            if [ "$path" = . ]; then path=; fi
            fail "Cannot write to $root${path:+/$path}: make it yours (sudo chown -R $(id -un) '$root')" \
                "or copy the project to a folder of your own."
        fi
    done
}

# Sets python: the one in .venv if that can be used, or else the one to make .venv with.
find_python() {
    python=$venv/bin/python
    if venv_is_good; then return; fi
    choose_python
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        fail "The venv module of $python is missing: install it (Debian, Ubuntu:" \
            "sudo apt install python${version%.*}-venv), then run this again."
    fi
}

venv_is_good() {
    [ ! -e "$venv/.unfinished" ] && runs_here "$venv/bin/python" || return 1
    [ -z "${PYTHON:-}" ] && return
    # Somebody has chosen a Python: another version than that of .venv means a new .venv.
    now=${version%.*}
    runs_here "$PYTHON" || return 1
    [ "$now" != "${version%.*}" ] || return 0
    [ -e "$venv/.installed-run" ] ||
        fail "$venv is of Python $now, and not made by this project: remove it or set VENV=another folder."
    return 1
}

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11
    fi
    first=
    for python in "$@"; do
        if runs_here "$python"; then return; fi
        if [ -z "$first" ] && [ -n "$version" ]; then first="$python is $version"; fi
    done
    fail "Python 3.11 or newer is needed; ${first:-there is no $1}. Install one (Debian, Ubuntu:" \
        "sudo apt install python3 python3-venv) or name yours: PYTHON=/path/to/python3.12 make run"
}

# Tells whether a Python is new enough; sets version, empty when there is no such Python.
runs_here() {
    version=$("$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || version=
    case $version in
        3.[0-9].* | 3.10.* | 2.* | '') return 1 ;;
    esac
}

# install run|dev|bench: brings .venv to what the requirements say; does nothing when it is there.
install() {
    list=$(list_of "$1")
    wanted=$(checksum "$1")
    if venv_is_good && [ "$(cat "$venv/.installed-$1" 2>/dev/null)" = "$wanted" ]; then return; fi
    make_venv
    echo "Installing $list into $venv; the first time this takes about a minute."
    : >"$venv/.unfinished"
    code=0
    "$python" -m pip install --quiet --disable-pip-version-check --no-input -r "$list" || code=$?
    if [ "$code" != 0 ]; then
        # pip undoes what it had begun, unless it was killed: then the mark stays.
        [ "$code" -gt 128 ] || rm -f "$venv/.unfinished"
        fail "$list could not be installed, pip says above why. Is the network there? Run this again."
    fi
    # Each list holds the ones before it.
    if [ "$1" != run ]; then checksum run >"$venv/.installed-run"; fi
    if [ "$1" = bench ]; then checksum dev >"$venv/.installed-dev"; fi
    echo "$wanted" >"$venv/.installed-$1"
    rm -f "$venv/.unfinished"
}

make_venv() {
    if venv_is_good; then
        python=$venv/bin/python
        return
    fi
    find_python
    mkdir -p "$venv"
    # A mark, so that a run killed from here on is begun anew and never believed.
    : >"$venv/.unfinished"
    rm -rf "$venv/bin" "$venv/lib" "$venv/lib64" "$venv/include" "$venv/pyvenv.cfg" "$venv"/.installed-*
    echo "Making $venv with Python $version."
    "$python" -m venv "$venv" || fail "$venv could not be made, Python says above why."
    python=$venv/bin/python
}

list_of() {
    case $1 in
        run) echo requirements.txt ;;
        *) echo "requirements-$1.txt" ;;
    esac
}

checksum() {
    case $1 in
        run) cat requirements.txt ;;
        dev) cat requirements.txt requirements-dev.txt ;;
        bench) cat requirements.txt requirements-dev.txt requirements-bench.txt ;;
    esac | cksum
}
