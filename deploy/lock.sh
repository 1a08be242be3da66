#!/bin/bash
# Resolves pyproject.toml into the three hashed lock files. Usage: deploy/lock.sh PIP_COMPILE
#
#   requirements-build.lock  what builds the packages that come as source only
#   requirements.lock        what the SBC needs to run
#   requirements-dev.lock    that, in the same versions, and what tests and linters need
set -euo pipefail
cd "$(dirname "$0")/.."

export CUSTOM_COMPILE_COMMAND="make lock"
# Wheels of this machine have hashes that no other machine can fetch.
export PIP_FIND_LINKS=
compile=("${1:?the pip-compile to use}" --quiet --upgrade --generate-hashes --allow-unsafe
    --strip-extras --no-emit-index-url --no-emit-find-links)

build_requirements=$(mktemp)
trap 'rm -f "$build_requirements"' EXIT
python3 -c 'import sys, tomllib
for line in tomllib.load(sys.stdin.buffer)["build-system"]["requires"]: print(line)
' < pyproject.toml > "$build_requirements"

"${compile[@]}" --no-annotate --output-file requirements-build.lock "$build_requirements"
"${compile[@]}" --output-file requirements.lock pyproject.toml
"${compile[@]}" --extra dev --constraint requirements.lock \
    --output-file requirements-dev.lock pyproject.toml
