#!/bin/sh
# Makes .venv with exactly the releases of uv.lock, by uv, which comes from pip into .bootstrap.
set -eu
cd "$(dirname "$0")/.."

OLDEST="3.11"

is_new_enough() { "$1" -c "import sys; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && is_new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
}

python="$(find_python)"
if [ -z "$python" ]; then
    here="$(python3 --version 2>/dev/null || echo "no Python")"
    echo "Acervo needs Python $OLDEST or newer and found $here: install it (Debian, Ubuntu: apt-get install python3.11 python3.11-venv; macOS: brew install python@3.12)." >&2
    exit 1
fi

if ! "$python" -c "import ensurepip, venv" 2>/dev/null; then
    version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    sh ground/tools.sh "python$version-venv"
fi

if ! .bootstrap/bin/uv --version >/dev/null 2>&1; then
    echo "Installing uv into .bootstrap"
    rm -rf .bootstrap
    "$python" -m venv .bootstrap
    .bootstrap/bin/python -m pip install --quiet uv
fi

# Another venv, or one of a Python that is gone, is made anew by uv; it is the same Python we found that must serve.
UV_PYTHON_DOWNLOADS=never
export UV_PYTHON_DOWNLOADS
echo "Installing the releases of uv.lock into .venv"
if ! .bootstrap/bin/uv sync --locked --quiet --python "$python" --reinstall-package acervo; then
    # uv.lock names the public index (ADR 9) and uv does not read pip's configuration. Where only pip knows the way
    # (a mirror, a proxy), pip fetches the same releases and checks the same hashes.
    echo "uv could not fetch them; trying pip, as it is configured here (slower)"
    [ -x .venv/bin/python ] || .bootstrap/bin/uv venv --quiet --python "$python" .venv
    .bootstrap/bin/uv export --locked --quiet --no-emit-project --output-file .bootstrap/locked.txt
    .bootstrap/bin/python -m pip --python .venv/bin/python install --quiet --no-deps --require-hashes --requirement .bootstrap/locked.txt
    .bootstrap/bin/python -m pip --python .venv/bin/python install --quiet --no-deps --editable .
fi
touch .venv/.ready
