#!/bin/sh
# make_venv.sh FOLDER ROS: make the virtual environment FOLDER for ROS, "wheels" or "ros-<distribution>".
#
# Uses $PYTHON, or the first Python 3.11 to 3.13 it finds. Gets by without Debian's python3-venv. A folder that was made
# for another ROS is made anew; one made by hand is kept.
set -eu
venv=$1
ros=$2
stamps=$venv/.stamps

say() { echo "make_venv: $*" >&2; }

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if fits "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    say "found no Python 3.11 to 3.13 among: ${PYTHON:-python3 python3.13 python3.12 python3.11};" \
        "install one, or name one: make PYTHON=/path/to/python3.12"
    exit 1
fi

if [ -d "$stamps" ] && [ ! -e "$stamps/venv-$ros" ] && ls "$stamps"/venv-* >/dev/null 2>&1; then
    say "$venv was made for $(cd "$stamps" && ls -d venv-* | sed 's/^venv-//'), now it is $ros: making it anew"
    rm -rf "$venv"
fi

site=
case $ros in ros-*) site=--system-site-packages ;; esac
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$venv"
    # shellcheck disable=SC2086 # no $site, no argument
    if ! "$python" -m venv $site "$venv" >/dev/null 2>&1; then
        # Debian keeps what puts pip into an environment in a package of its own; this pip can do it, too.
        rm -rf "$venv"
        # shellcheck disable=SC2086
        if ! { "$python" -m venv --without-pip $site "$venv" &&
            "$venv/bin/python" "$("$python" -c 'import os, pip; print(os.path.dirname(pip.__file__))')" \
                install -qq --disable-pip-version-check --ignore-installed pip; }; then
            rm -rf "$venv"
            say "$python can make no virtual environment: install python3-venv and python3-pip" \
                "(Debian, Ubuntu: apt-get install python3-venv python3-pip)"
            exit 1
        fi
    fi
fi
# Older ones take minutes to resolve what the current one does in seconds.
"$venv/bin/python" -m pip install -qq --disable-pip-version-check 'pip>=24'
mkdir -p "$stamps"
touch "$stamps/venv-$ros"
