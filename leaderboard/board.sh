#!/bin/sh
# Make the published board: every run, cost, figure and table. It goes on where it stopped; to begin from nothing, remove the
# folders in leaderboard/records first (those of rules 1 stay as history). Hours: board.sh SUITE... makes those suites alone.
# On two cores: smoke a minute, quick three hours with its costs, lr and textile half an hour each, protocol one hour (its
# last rows want the authors' code: pip install -e '.[parity]'), tables twenty minutes, cards one hour, fashion five;
# lengths and the rest of lr two to three hours each.
set -eu
cd "$(dirname "$0")/.."
here=leaderboard/records

published='smoke quick lr protocol textile tables fashion cards'

run() { # SUITE [OPTION...]
    name=$1 && shift
    ivi run "$name" --device cpu --out "$here/$name" "$@"
}

cost() { # SUITE TASK [METHODS]: what methods cost, each in turns with MAP; on a machine that does nothing else
    ls "$here/$1/$2"/cpu-*.cost.json >/dev/null 2>&1 ||
        ivi cost "$2" ${3:+--methods "$3"} --device cpu --rounds 3 --out "$here/$1"
}

for name in ${*:-$published}; do
    case $name in
    quick)
        run quick --methods all --seeds 10
        cost quick mnist5k-lenet5 all
        ;;
    lr) run lr --tasks mnist5k-lenet5 ;;
    gpu) ivi run gpu --device cuda --out "$here/gpu" ;;
    cards) ivi card --all --device cpu ;; # their 600 runs are not published: they stay in results/
    *) run "$name" ;;
    esac
done

ivi figures quick --folder "$here/quick" --to docs/board/quick -m map,deep_ensemble,implicit_vi_ensemble,mc_dropout,laplace,kl_vi,kl_vi_tempered,implicit_vi,implicit_vi_fast,implicit_vi_last,vbll,swag,ivon
ivi theory --out docs/board/theory
ivi transfer --fast --out docs/board/transfer

# What a submitted row needs follows from the plans that were just published.
"${PYTHON:-python}" -P -m benchmarks.submission.truths $(cd leaderboard/truth && ls | sed 's/\.json$//')

for page in README.md leaderboard/README.md leaderboard/history.md docs/findings.md docs/findings_first_board.md; do
    ivi table --write "$page"
done
ivi verify "$here"
