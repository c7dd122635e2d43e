#!/bin/sh
# Make the published board: every run, cost, figure and table. It goes on where it stopped; to begin from nothing, remove the
# folders in leaderboard/records first. What lies there of rules 1 stays as history beside it. Two cores take about five and a half hours, most of it for Fashion-MNIST: LeNet-5 an hour and a
# half, the small ResNet an hour and three quarters, and forty minutes for what methods cost on it.
set -eu
cd "$(dirname "$0")/.."

suite() { # NAME TASK...: runs, and what every method costs on each task
    name=$1 && shift
    ivi run "$name" --device cpu --out "leaderboard/records/$name"
    for task in "$@"; do
        ls "leaderboard/records/$name/$task"/cpu-*.cost.json >/dev/null 2>&1 ||
            ivi cost "$task" --methods "$methods" --device cpu --rounds 7 --out "leaderboard/records/$name"
    done
}

methods=map,deep_ensemble,mc_dropout,laplace,kl_vi,implicit_vi,implicit_vi_shared
suite quick mnist5k-lenet5
suite fashion fashion-lenet5
suite fashion-resnet fashion-resnet-gn
ivi run norms --device cpu --out leaderboard/records/fashion-resnet # its other half are runs of fashion-resnet
suite short
suite ablations
suite warmup
suite draws

for name in quick fashion fashion-resnet draws; do
    if ls "leaderboard/records/$name"/*/*/*.safetensors >/dev/null 2>&1; then # not where they are left out of the repository
        ivi figures "$name" --folder "leaderboard/records/$name" --to "docs/board/$name"
    fi
done
ivi theory --out docs/board/theory
ivi transfer --fast --out docs/board/transfer

# What a submitted row needs follows from the plans that were just published.
"${PYTHON:-python}" -P -m benchmarks.submission.truths $(cd leaderboard/truth && ls | sed 's/\.json$//')

for page in README.md leaderboard/README.md docs/findings.md; do
    ivi table --write "$page"
done
ivi verify leaderboard/records
