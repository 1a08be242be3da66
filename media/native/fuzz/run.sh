#!/bin/bash
# Fuzzes for a while, with a stable compiler. Usage: media/native/fuzz/run.sh SECONDS [TARGET...]
#
# Each target (all of them, if none is named) runs so many seconds in bounded memory, from the seeds
# and from what earlier runs have found (corpus/). The input of a crash is kept in crashes/, and the
# last lines say how to play it again. Needs cargo and a C++ compiler, for libFuzzer itself.
set -euo pipefail
cd "$(dirname "$0")"

readonly seconds=${1:?seconds for each target}
shift
readonly memory_mb=512
readonly longest_input_bytes=4096
readonly longest_run_s=10

for tool in cargo c++; do
    if ! command -v "$tool" >/dev/null; then
        echo "fuzz: there is no $tool here; nothing was fuzzed" >&2
        exit 1
    fi
done

# What cargo-fuzz asks a nightly compiler for without its sanitizers: coverage counters and the
# operands of comparisons. They must not get into build scripts, hence a target triple.
flags=(-C passes=sancov-module -C codegen-units=1)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=(-C "llvm-args=-sanitizer-coverage-$option")
done
host=$(rustc --version --verbose | sed -n 's/^host: //p')
RUSTFLAGS="${flags[*]} --deny warnings" cargo build --quiet --release --locked --target "$host"
readonly built=target/$host/release

plant_seeds() {
    local number=0 target bytes
    rm -rf target/seeds
    # Without -r, a backslash joins lines.
    while read target bytes; do
        mkdir -p "target/seeds/$target"
        number=$((number + 1))
        printf "$(sed 's/ //g; s/../\\x&/g' <<<"$bytes")" > "target/seeds/$target/$number"
    done < <(sed '/^#/d; /^$/d' seeds.txt)
}

fuzz() {
    local target=$1
    mkdir -p "corpus/$target" "crashes/$target" "target/seeds/$target"
    echo "fuzz: $target, for $seconds s"
    if ! "$built/$target" "corpus/$target" "target/seeds/$target" -max_total_time="$seconds" \
        -max_len=$longest_input_bytes -timeout=$longest_run_s -rss_limit_mb=$memory_mb \
        -artifact_prefix="crashes/$target/" -verbosity=0 -print_final_stats=1 2>"target/$target.log"
    then
        cat "target/$target.log"
        echo "fuzz: $target failed. To play it again: (cd $PWD && $built/$target crashes/$target/*)"
        return 1
    fi
    grep -E 'number_of_executed_units|peak_rss_mb' "target/$target.log"
}

plant_seeds
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(sed -n 's/^name = "\([a-z]*\)"$/\1/p' Cargo.toml)
failed=0
for target in "${targets[@]}"; do
    fuzz "$target" || failed=1
done
exit "$failed"
