#!/usr/bin/env bash
# Bring a fresh Debian 12 machine with Python 3.11 to a working state: uv, the locked environment, the
# web app and, unless --run-only is given, what only the tests need. Running it again is quick and harmless.
set -euo pipefail
cd "$(dirname "$0")/.."

run_only=false
[ "${1:-}" = "--run-only" ] && run_only=true
say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
apt_install() {
    say "installing with apt: $*"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
# Prints a checksum of files and of what they are called, to see whether work must be done again.
fingerprint() { find "$@" -type f -not -path '*/node_modules/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1; }

# 1. uv: from PATH, else the project's own copy.
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    uv=$PWD/.tools/bin/uv
    if [ ! -x "$uv" ]; then
        if ! python3 -m pip --version >/dev/null 2>&1; then
            [ "$(id -u)" = 0 ] || { say "pip is missing: run 'apt-get install python3-pip' as root, then this again"; exit 1; }
            apt_install python3-pip
        fi
        say "installing uv into .tools"
        python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .tools uv
    fi
fi

# 2. The locked environment in .venv.
[ -x .venv/bin/python ] || "$uv" venv --quiet --python '>=3.11' .venv
stamp=.venv/.setup-stamp
wanted=$(fingerprint requirements.lock pyproject.toml)
if [ "$(cat $stamp 2>/dev/null)" != "$wanted" ]; then
    say "syncing the environment from requirements.lock"
    "$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock
    "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
    echo "$wanted" > $stamp
fi

# 3. The web app, built into src/vms/api/web.
stamp=.venv/.web-stamp
wanted=$(fingerprint web)
if [ "$(cat $stamp 2>/dev/null)" != "$wanted" ] || [ ! -f src/vms/api/web/index.html ]; then
    say "building the web app"
    (cd web && ../scripts/npm ci --loglevel=error --no-fund --no-audit >/dev/null && ../scripts/npm run --silent build >/dev/null)
    fingerprint web > $stamp
fi
$run_only && exit 0

# 4. What only the tests need.
missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v ffmpeg >/dev/null || missing+=(ffmpeg)
command -v Xvfb >/dev/null || missing+=(xvfb)
command -v janus >/dev/null || missing+=(janus)
command -v ip >/dev/null || missing+=(iproute2)
command -v srt-live-transmit >/dev/null || missing+=(srt-tools)
command -v nginx >/dev/null || missing+=(nginx-light)
if ! /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer' 2>/dev/null; then
    missing+=(python3-gi gir1.2-gst-rtsp-server-1.0 libgstrtspserver-1.0-0)
fi
for element in videotestsrc:base rtph264pay:good h264parse:bad x264enc:ugly; do
    gst-inspect-1.0 "${element%%:*}" >/dev/null 2>&1 || missing+=(gstreamer1.0-tools "gstreamer1.0-plugins-${element#*:}")
done
gst-inspect-1.0 avdec_h264 >/dev/null 2>&1 || missing+=(gstreamer1.0-libav)
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ]; then
        apt_install "${missing[@]}"
    else
        say "left out, since this is not root: tests against $(printf '%s ' "${missing[@]}")"
        say "to run them too: sudo apt-get install ${missing[*]}"
    fi
fi
