#!/bin/sh
# A real Ray cluster of three nodes on loopback, for tests: `ray.sh up FOLDER`, `ray.sh down FOLDER`, and
# `ray.sh again FOLDER NODE` for one that was lost. Each node has a cache of its own. It wants `ray` in the PATH, and PYTHONPATH as its nodes are to have it.
set -eu
what=$1 folder=$2
port=${RAY_TEST_PORT:-6479}
# Workers would stand back behind all others. Ports of a node's parts are named: for one that it may choose, a node waits 15 s and then gives up.
# Where Ray has once left a token in the home folder, a head asks for it, and nodes that join it do not bring it by themselves.
export RAY_AUTH_MODE=disabled RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=${RAY_worker_niceness:-0} RAY_raylet_start_wait_time_s=${RAY_raylet_start_wait_time_s:-90}

node() { # NAME ARGUMENTS...: one node with one core, which ends with the process whose number is in NAME.pid
    name=$1
    shift
    mkdir -p "$folder/$name"
    case $name in head) first=$((port + 10)) ;; second) first=$((port + 20)) ;; *) first=$((port + 30)) ;; esac
    IVI_CACHE=$folder/$name/cache setsid ray start --block --num-cpus 1 --node-ip-address 127.0.0.1 \
        --object-store-memory 100000000 --disable-usage-stats --min-worker-port 0 --max-worker-port 0 \
        --dashboard-agent-listen-port $((first + 1)) --dashboard-agent-grpc-port $((first + 2)) \
        --metrics-export-port $((first + 3)) --runtime-env-agent-port $((first + 4)) "$@" >"$folder/$name/log" 2>&1 &
    echo $! >"$folder/$name.pid"
}

started() { # NAME: wait until a node is there; it ends by itself where one of its parts is not there in time
    while kill -0 "$(cat "$folder/$1.pid")" 2>/dev/null; do
        grep -q "Ray runtime started" "$folder/$1/log" && return 0
        sleep 1
    done
    return 1
}

sure() { # NAME ARGUMENTS...: a node that is there; a busy machine may need several tries
    for _ in 1 2 3; do
        node "$@"
        started "$1" && return 0
    done
    tail -n 5 "$folder/$1/log" >&2
    exit 1
}

up() {
    mkdir -p "$folder"
    sure head --head --port "$port" --include-dashboard false --temp-dir "$folder/tmp"
    sure second --address "127.0.0.1:$port"
    sure third --address "127.0.0.1:$port"
}

below() { # PID: it and all that it has started
    ps -eo pid=,ppid= | awk -v root="$1" '{ of[$1] = $2 } END {
        for (one in of) { up = one; while (up != root && up in of && up > 1) up = of[up]; if (up == root) print one } }'
}

down() {
    all=
    for name in third second head; do
        [ -s "$folder/$name.pid" ] && all="$all $(below "$(cat "$folder/$name.pid")" | tr '\n' ' ')"
    done
    for pid in $all; do
        kill -KILL "$pid" 2>/dev/null || true
    done
}

again() { # start a node that was lost
    sure "$name" --address "127.0.0.1:$port"
}

name=${3:-}
$what
