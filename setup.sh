#!/usr/bin/env bash
# Makes .venv beside this file with zkynet (editable) and all that its development needs, once.
#
#   source setup.sh         activate it in this shell (bash or zsh)
#   ./setup.sh CMD ARG...   run one command inside
#   ./setup.sh check        all checks: lint, format, types, benchmarks once, tests; ARG... go to pytest
#
# PYTHON=/path/to/python chooses the interpreter, Python 3.11 or newer. It installs again when setup.cfg changes.
#
# May run inside the user's own shell: nothing here exits, sets options or leaves names behind.

_zkynet_say() { printf 'zkynet: %s\n' "$*" >&2; }

# Whether $1 is a Python that is new enough. A pyenv shim can exist and still not run, so it is run.
_zkynet_is_new() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# Whether $1 can make an environment: Debian and Ubuntu ship venv and ensurepip in a package of their own.
_zkynet_has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# What stands for one Python installation, the same seen from inside its environments.
_zkynet_identity() { "$1" -c 'import sys; print(sys.base_prefix, sys.version)' 2>/dev/null; }

_zkynet_no_venv() {
    local minor
    minor="$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    _zkynet_say "$1 (Python $minor) cannot make virtual environments: its module venv or ensurepip is missing."
    _zkynet_say "On Debian and Ubuntu, as root: apt-get install python$minor-venv"
    _zkynet_say "Or choose another interpreter: PYTHON=/path/to/python3 ./setup.sh"
}

# Prints the interpreter to use: $PYTHON, or python3 where it is new enough, or the newest python3.x that is.
_zkynet_python() {
    local candidate without_venv=""
    if [ -n "${PYTHON:-}" ]; then
        if ! _zkynet_is_new "$PYTHON"; then
            _zkynet_say "PYTHON=$PYTHON is not Python 3.11 or newer that runs here."
            return 1
        fi
        if ! _zkynet_has_venv "$PYTHON"; then
            _zkynet_no_venv "$PYTHON"
            return 1
        fi
        printf '%s\n' "$PYTHON"
        return 0
    fi
    # The last one for a pyenv shell of an old version, whose shims hide what the system has.
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        _zkynet_is_new "$candidate" || continue
        if _zkynet_has_venv "$candidate"; then
            printf '%s\n' "$candidate"
            return 0
        fi
        [ -n "$without_venv" ] || without_venv="$candidate"
    done
    if [ -n "$without_venv" ]; then
        _zkynet_no_venv "$without_venv"
        return 1
    fi
    _zkynet_say "no Python 3.11 or newer found (tried python3, python3.14 ... python3.11, /usr/bin/python3)."
    _zkynet_say "On Debian 12, Ubuntu 24.04 and newer, as root: apt-get install python3 python3-venv"
    _zkynet_say "With pyenv: pyenv install 3.12 && pyenv shell 3.12"
    _zkynet_say "Or name one: PYTHON=/path/to/python3 ./setup.sh"
    return 1
}

# Makes $1/.venv and installs into it, unless that is done already.
_zkynet_install() {
    local root="$1" venv="$1/.venv" mark="$1/.venv/.zkynet-installed" key python
    # The folder is part of the key: neither an environment nor an editable install survives being moved.
    key="$root $(cat "$root/setup.cfg" "$root/pyproject.toml" | cksum)" || return 1
    if [ -e "$venv" ]; then
        if ! _zkynet_is_new "$venv/bin/python"; then
            _zkynet_say ".venv has no Python 3.11 or newer that runs; making it again."
            rm -rf "$venv" || return 1
        elif [ -n "${PYTHON:-}" ] && [ "$(_zkynet_identity "$PYTHON")" != "$(_zkynet_identity "$venv/bin/python")" ]; then
            # `PYTHON=` may name this very environment, from an activated shell: then they are equal.
            _zkynet_is_new "$PYTHON" || { _zkynet_python >/dev/null; return 1; }
            _zkynet_say ".venv was made with another Python than PYTHON=$PYTHON; making it again."
            rm -rf "$venv" || return 1
        elif [ -f "$mark" ] && [ "$(cat "$mark")" = "$key" ]; then
            return 0
        fi
    fi
    if [ ! -e "$venv" ]; then
        python="$(_zkynet_python)" || return 1
        _zkynet_say "making .venv with $("$python" --version) ($python)"
        if ! "$python" -m venv "$venv" >&2; then
            rm -rf "$venv"
            _zkynet_say "$python -m venv failed; see above."
            return 1
        fi
    fi
    _zkynet_say "installing zkynet and its development tools into .venv; the first time this takes some minutes"
    rm -f "$mark"
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "${root}[dev]" >&2; then
        _zkynet_say "the installation failed; see above. Run this again to go on."
        return 1
    fi
    printf '%s\n' "$key" >"$mark"
}

# Runs every check, the rest too where one fails, so that one run shows all. Closes with pytest's own last line.
_zkynet_check() {
    local failed="" tests=0
    cd "$1" || return 1
    shift
    ruff check . || failed="$failed ruff-check"
    ruff format --check . || failed="$failed ruff-format"
    mypy || failed="$failed mypy"
    if ls bench/*.py >/dev/null 2>&1; then
        # Once and untimed: that they run. 5 is "no tests found".
        python -m pytest bench --benchmark-disable --quiet
        case $? in 0 | 5) ;; *) failed="$failed bench" ;; esac
    fi
    python -m pytest -n 2 "$@" || tests=$?
    if [ -n "$failed" ]; then
        _zkynet_say "FAILED before the tests:$failed"
        return 1
    fi
    return "$tests"
}

_zkynet_forget() {
    unset -f _zkynet_say _zkynet_is_new _zkynet_has_venv _zkynet_identity _zkynet_no_venv _zkynet_python
    unset -f _zkynet_install _zkynet_check _zkynet_forget
    unset _zkynet_file _zkynet_sourced _zkynet_root
}

if [ -n "${ZSH_VERSION:-}" ]; then
    eval '_zkynet_file="${(%):-%x}"' # zsh only; bash would stumble over it even unread
    case "${ZSH_EVAL_CONTEXT:-}" in *:file*) _zkynet_sourced=1 ;; *) _zkynet_sourced="" ;; esac
else
    _zkynet_file="${BASH_SOURCE[0]}"
    if [ "$_zkynet_file" != "$0" ]; then _zkynet_sourced=1; else _zkynet_sourced=""; fi
fi
_zkynet_root="$(CDPATH='' cd -- "$(dirname -- "$_zkynet_file")" && pwd -P)"

if [ -n "$_zkynet_sourced" ]; then
    if _zkynet_install "$_zkynet_root" && . "$_zkynet_root/.venv/bin/activate"; then
        _zkynet_forget
    else
        _zkynet_forget
        false # what `source` returns
    fi
elif ! _zkynet_install "$_zkynet_root"; then
    exit 1
else
    . "$_zkynet_root/.venv/bin/activate"
    case "${1:-}" in
    "")
        _zkynet_say "ready. Activate it with: source setup.sh"
        ;;
    check)
        shift
        _zkynet_check "$_zkynet_root" "$@"
        ;;
    *)
        exec "$@"
        ;;
    esac
fi
