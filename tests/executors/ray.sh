#!/bin/sh
# A real Ray cluster of three nodes on loopback, for tests: `ray.sh up FOLDER`, `ray.sh down FOLDER`. Each node has a
# cache of its own. Wants `ray` in the PATH, and PYTHONPATH as its nodes are to have it.
set -eu
what=$1 folder=$2
port=${RAY_TEST_PORT:-16379}
export RAY_USAGE_STATS_ENABLED=0

node() { # NAME ARGUMENTS...: one node with one core, which ends with the process whose number is in NAME.pid
    name=$1
    shift
    mkdir -p "$folder/$name"
    IVI_CACHE=$folder/$name/cache setsid ray start --block --num-cpus 1 --node-ip-address 127.0.0.1 \
        --object-store-memory 100000000 --disable-usage-stats "$@" >"$folder/$name/log" 2>&1 &
    echo $! >"$folder/$name.pid"
}

up() {
    mkdir -p "$folder"
    node head --head --port "$port" --include-dashboard false --temp-dir "$folder/tmp"
    for _ in $(seq 150); do
        ray status --address "127.0.0.1:$port" >/dev/null 2>&1 && break
        sleep 0.5
    done
    node second --address "127.0.0.1:$port"
    node third --address "127.0.0.1:$port"
    for _ in $(seq 150); do
        [ "$(ray status --address "127.0.0.1:$port" 2>/dev/null | grep -c '^ *1 node_')" -ge 3 ] && return 0
        sleep 0.5
    done
    ray status --address "127.0.0.1:$port" >&2 || true
    exit 1
}

down() {
    for name in third second head; do
        [ -s "$folder/$name.pid" ] && kill -TERM -- "-$(cat "$folder/$name.pid")" 2>/dev/null || true
    done
    sleep 2
    for name in third second head; do
        [ -s "$folder/$name.pid" ] && kill -KILL -- "-$(cat "$folder/$name.pid")" 2>/dev/null || true
    done
}

$what
