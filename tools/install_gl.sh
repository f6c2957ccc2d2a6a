#!/bin/sh
# install_gl.sh PYTHON: see to it that MuJoCo can draw without a display.
#
# Installs Mesa's software renderer where it may (root, or sudo without a password), else says what to install. That is no
# failure: all but pictures works without.
set -eu
python=$1
packages="libegl1 libgl1 libgl1-mesa-dri"

say() { echo "install_gl: $*" >&2; }

draws() {
    MUJOCO_GL=${MUJOCO_GL:-egl} "$python" -c '
import mujoco
context = mujoco.GLContext(16, 16)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_100)
context.free()' >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

if ! draws && command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then
        say "installing $packages (Mesa's renderer, for pictures without a display)"
        export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes
        # shellcheck disable=SC2086 # a list
        { as_root apt-get -qq update && as_root apt-get -qq install -y --no-install-recommends $packages; } >/dev/null || true
    fi
fi
if ! draws; then
    say "MuJoCo finds no library to draw with, so there will be no video: install EGL and Mesa's renderer" \
        "(Debian, Ubuntu: sudo apt-get install $packages; Fedora: mesa-libEGL mesa-dri-drivers; Arch: mesa)"
fi
