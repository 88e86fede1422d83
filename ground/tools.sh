#!/bin/sh
# Installs the named tools when they are missing: ffmpeg, libmagic, chromium, clamd, pythonX.Y-venv. Says so in one line;
# what it cannot install it names in one sentence with the command that does.
set -eu
cd "$(dirname "$0")/.."

has() {
    case "$1" in
        ffmpeg) command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null ;;
        libmagic) .venv/bin/python -c "import magic" 2>/dev/null ;;
        chromium) has_chromium ;;
        # The scanner's program only: tests give it a signature of their own, and start no service.
        clamd) command -v clamd >/dev/null || [ -x /usr/sbin/clamd ] ;;
        python*-venv) "${1%-venv}" -c "import ensurepip, venv" 2>/dev/null ;;
    esac
}

has_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        # Ubuntu's `chromium-browser` may be a stub that only says to use snap.
        if command -v "$name" >/dev/null && "$name" --version >/dev/null 2>&1; then return 0; fi
    done
    for app in "Google Chrome" Chromium; do
        [ -x "/Applications/$app.app/Contents/MacOS/$app" ] && return 0
    done
    return 1
}

apt_name() { case "$1" in libmagic) echo libmagic1 ;; clamd) echo clamav-daemon ;; *) echo "$1" ;; esac; }

by_apt() {
    root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || return 1
        sudo -n true 2>/dev/null || [ -t 0 ] || return 1
        root="sudo"
    fi
    echo "Installing $1 (apt-get)"
    quietly="env DEBIAN_FRONTEND=noninteractive apt-get -qq"
    install="$root $quietly install -y --no-install-recommends $(apt_name "$1")"
    # A fresh machine has no package lists yet, and old lists name releases that are gone.
    $install >/dev/null 2>&1 || { $root $quietly update >/dev/null && $install >/dev/null; }
}

by_brew() {
    echo "Installing $1 (brew)"
    case "$1" in
        chromium) brew install --quiet --cask google-chrome ;;
        clamd) brew install --quiet clamav ;;
        *) brew install --quiet "$1" ;;
    esac
}

cure() {
    if command -v apt-get >/dev/null; then
        echo "sudo apt-get install $(apt_name "$1")"
    elif command -v brew >/dev/null; then
        case "$1" in
            chromium) echo "brew install --cask google-chrome" ;;
            clamd) echo "brew install clamav" ;;
            *) echo "brew install $1" ;;
        esac
    else
        echo "the package manager of your system"
    fi
}

install() {
    if command -v apt-get >/dev/null; then
        by_apt "$1" || return 1
    elif command -v brew >/dev/null; then
        by_brew "$1" || return 1
    fi
    has "$1"
}

for tool in "$@"; do
    if has "$tool" || install "$tool"; then continue; fi
    if [ "$tool" = chromium ] && [ "${BROWSER_TESTS:-}" != required ]; then
        echo "The browser tests will be skipped: Chromium is missing and could not be installed; this does it: $(cure "$tool")"
        continue
    fi
    if [ "$tool" = clamd ] && [ "${CLAMD_TESTS:-}" != required ]; then
        echo "The tests with a real malware scanner will be skipped: clamd is missing and could not be installed; this does it: $(cure "$tool")"
        continue
    fi
    echo "$tool is missing and could not be installed; this does it: $(cure "$tool")" >&2
    exit 1
done
