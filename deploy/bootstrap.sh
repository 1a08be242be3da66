#!/bin/bash
# Makes the virtual environment of this tree and keeps it in step with the lock files.
#
#   deploy/bootstrap.sh run    what the SBC needs to run
#   deploy/bootstrap.sh dev    that, and what its tests and linters need
#
# Does nothing, and takes no time, when the environment already matches the locks, and the native
# media engine its sources. Without a Rust that can build that engine it says so, and media is
# relayed in Python. Asks for no rights: a missing system package is named with the command that
# installs it.
# PYTHON=/path/to/python3 chooses the interpreter (3.11 or later).
set -euo pipefail
cd "$(dirname "$0")/.."

readonly kind=${1:?run or dev}
readonly venv=.venv
declare -rA locks=([run]=requirements.lock [dev]=requirements-dev.lock)
readonly lock=${locks[$kind]:?run or dev}
readonly engine=media/_native.abi3.so
readonly log=$venv/set-up.log

say() { echo "set-up: $*" >&2; }

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# Debian splits these off its Python; other builds of Python carry them.
missing_packages() {
    local python=$1 version=3
    if [[ $("$python" -c 'import sys; print(sys.base_prefix)') == /usr ]]; then
        version=$("$python" -c 'import sys; print("3.%d" % sys.version_info[1])')
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "python$version-venv"
    # netifaces is published as source only for these Pythons: a compiler and Python.h build it.
    if ! "$venv/bin/python" -c 'import netifaces' 2>/dev/null; then
        "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
            echo "python$version-dev"
        command -v gcc >/dev/null || echo gcc
        [[ -e /usr/include/stdio.h ]] || echo libc6-dev
    fi
}

# What an environment of a kind was made from, the place of the tree included: console scripts
# carry it.
fingerprint() {
    cat deploy/bootstrap.sh requirements-build.lock "${locks[$1]}" pyproject.toml | sha256sum
    "$venv/bin/python" -c 'import sys; print(sys.version, sys.prefix)'
}

# An environment for development serves to run, too.
matches() {
    local made
    [[ -x $venv/bin/python ]] && "$venv/bin/python" -c 'import pip' 2>/dev/null || return 1
    for made in "$kind" dev; do
        [[ $(cat "$venv/.matches-$made" 2>/dev/null) == "$(fingerprint "$made")" ]] && return 0
    done
    return 1
}

# What the native engine is made from.
crates() {
    find media/native media/_native.pyi -name target -prune -o -name fuzz -prune -o -type f -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
}

rust() {
    local versions
    versions=$(rustc --version 2>/dev/null && cargo --version 2>/dev/null) || versions=none
    echo "$versions"
}

built_from_these_crates() {
    [[ $(cat "$venv/.engine-crates" 2>/dev/null) == "$(crates)" ]]
}

# The engine is there, or this Rust has failed to build it. One that fits its sources stays when
# the Rust that built it has gone.
engine_matches() {
    built_from_these_crates &&
        { [[ -e $engine ]] || [[ $(cat "$venv/.engine-rust" 2>/dev/null) == "$(rust)" ]]; }
}

# Why there is no native engine after all, in a few words.
missing_for_engine() {
    deploy/rust.sh missing && return
    local error
    error=$(sed -n '/ error\(\[E[0-9]*\]\)\?: /{s/^.* error[^:]*: //p;q}' "$log")
    echo "its build failed (${error:-no error is told}; $log has all of it, and 'make clean' lets" \
        "it be tried again)"
}

install_tree() {
    [[ $(rust) == none ]] || say "building the native media engine (minutes the first time)"
    # One of other sources would stay where it is if this build failed.
    built_from_these_crates || rm -f "$engine"
    rm -f "$log"
    "${pip[@]}" --log "$log" --no-deps --no-build-isolation --editable .
    crates > "$venv/.engine-crates"
    rust > "$venv/.engine-rust"
    if [[ ! -e $engine ]]; then
        say "no native media engine: $(missing_for_engine)."
        say "Media is relayed in Python instead: enough for an office, not for a carrier."
    fi
}

pip=("$venv/bin/python" -m pip --disable-pip-version-check --no-input --quiet install)
if matches; then
    engine_matches || install_tree
    exit 0
fi

if ! python=$(find_python); then
    found=$(${PYTHON:-python3} --version 2>/dev/null || echo none)
    say "Python 3.11 or later is needed (${PYTHON:-python3}: $found)."
    say "On Debian 12 or later:  apt-get install -y python3 python3-venv python3-dev gcc"
    say "An interpreter elsewhere is named with PYTHON=/path/to/python3."
    exit 1
fi
missing=$(missing_packages "$python" | tr '\n' ' ')
if [[ -n $missing ]]; then
    say "$python lacks system packages that the set-up needs. Install them as root with:"
    say "    apt-get install -y ${missing% }"
    exit 1
fi

if ! { [[ -x $venv/bin/python ]] && new_enough "$venv/bin/python" &&
        "$venv/bin/python" -c 'import pip' 2>/dev/null; }; then
    say "making $venv with $("$python" --version) ($python)"
    "$python" -m venv --clear "$venv"
fi
say "installing what $lock lists (a minute the first time)"
"${pip[@]}" --require-hashes -r requirements-build.lock
"${pip[@]}" --require-hashes --no-build-isolation --use-pep517 -r "$lock"
install_tree
fingerprint "$kind" > "$venv/.matches-$kind"
say "ready"
