#!/bin/bash
# Cargo over the crates of the native media engine.
#
#   deploy/rust.sh missing   what is missing here to build them, in a few words; fails if nothing is
#   deploy/rust.sh lint      style, and the compiler's and clippy's warnings as errors
#   deploy/rust.sh test      the tests of the crates
#
# Without a Rust that is new enough the last two say so in one line, and that is no failure.
set -euo pipefail
cd "$(dirname "$0")/../media/native"

missing() {
    local needed version
    needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    version=$(rustc --version 2>/dev/null | cut -d ' ' -f 2) || true
    if [[ -z $version ]] || ! cargo --version >/dev/null 2>&1; then
        echo "it takes cargo and Rust $needed or later, and here is none"
    elif ! printf '%s\n' "$needed" "$version" | sort --version-sort --check=quiet; then
        echo "it takes Rust $needed or later, and here is $version"
    else
        return 1
    fi
}

lint() {
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo clippy --quiet --workspace --all-targets --locked -- --deny warnings
}

test() {
    cargo test --quiet --workspace --locked
}

case ${1:-} in
missing) missing ;;
lint | test)
    if why=$(missing); then
        echo "The crates in media/native are left out: $why."
    else
        "$1"
    fi
    ;;
*)
    echo "usage: deploy/rust.sh missing|lint|test" >&2
    exit 2
    ;;
esac
