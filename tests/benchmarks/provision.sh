#!/bin/sh
# What a plain script would install on a fresh Debian host for the same stack, and nothing more: the yardstick of bench-provision.
# usage: provision.sh REQUIREMENTS
set -eu

apt-get update --quiet --quiet
DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends \
    acl ca-certificates certbot curl jq nginx python3-venv systemd-timesyncd unattended-upgrades
python3 -m venv /opt/tools
/opt/tools/bin/pip install --quiet uv
python3 -m venv /srv/app
/srv/app/bin/pip install --quiet --require-hashes --requirement "$1"
