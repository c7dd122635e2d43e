#!/bin/sh
# Install every package of the gallery, check, submit and review it: from an empty folder, as its author would.
# Usage: submit.sh [SUITE] [AUTHOR]        IVI=... names another `ivi`, PYTHON=... another Python.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
suite=${1:-quick} author=${2:-ivi-bench} ivi=${IVI:-ivi} python=${PYTHON:-python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in "$here"/*/pyproject.toml; do
    folder=$(dirname "$package")
    name=$(basename "$folder")
    cp -r "$folder" "$work/$name"
    "$python" -m pip install -q --no-deps --no-build-isolation "$work/$name"
    "$ivi" check "$name"
    "$ivi" submit "$name" --suite "$suite" --author "$author" --licence MIT --tuning nothing
    "$ivi" review "$here/../submissions/$name/1.0" --write
done
