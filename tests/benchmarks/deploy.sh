#!/bin/sh
# What a plain script does to deploy the same app by SSH, with the same steps and nothing else: the yardstick of bench-deploy.
# usage: deploy.sh setup|deploy SOURCE HOST SSH [OPTION...]
set -eu
order=$1 source=$2 host=$3
shift 3

if [ "$order" = setup ]; then
    "$@" "$host" "sudo sh -eu" << 'EOF'
mkdir -p /srv/script/releases
python3 -c 'import json, shlex
for name, value in json.load(open("/etc/farrier/observatory/environment.json")).items(): print(f"{name}={shlex.quote(value)}")
' > /srv/script/environment
echo "RELEASE_ID=script" >> /srv/script/environment
echo "STATE_DIRECTORY=/srv/script/state" >> /srv/script/environment
mkdir -p /srv/script/state
cat > /run/systemd/system/script.service << 'UNIT'
[Service]
Type=notify
EnvironmentFile=/srv/script/environment
WorkingDirectory=/srv/script/current
ExecStart=/srv/script/current/.venv/bin/python -m gunicorn --workers 2 --bind unix:/run/script.sock --worker-class uvicorn_worker.UvicornWorker observatory.main:app
ExecReload=/bin/kill -HUP $MAINPID
UNIT
systemctl daemon-reload
EOF
    exit
fi

release=/srv/script/releases/$(date -u +%Y%m%dT%H%M%S.%N)
tar -C "$source" -cz . | "$@" "$host" "sudo mkdir $release && sudo tar -C $release -xz"
"$@" "$host" "sudo sh -eu" << EOF
cd $release
export UV_CACHE_DIR=/srv/script/cache UV_SYSTEM_CERTS=1
uv="/opt/farrier/tools/bin/uv --quiet"
\$uv venv --python /usr/bin/python3 .venv
\$uv pip install --python .venv/bin/python --requirement requirements.txt \
    --requirement /usr/local/lib/farrier/farrier_release/requirements/server.txt
\$uv pip install --python .venv/bin/python --no-deps .
set -a
. /srv/script/environment
set +a
.venv/bin/python -m gunicorn --bind unix:$release/scratch.sock --worker-class uvicorn_worker.UvicornWorker observatory.main:app 2> scratch.log &
scratch=\$!
ask="curl --silent --show-error --fail --output /dev/null --retry 100 --retry-delay 0 --retry-all-errors --retry-max-time 30"
until [ -S $release/scratch.sock ]; do sleep 0.05; done
\$ask --unix-socket $release/scratch.sock http://localhost/healthz
kill \$scratch
.venv/bin/python -m alembic upgrade head 2> migrate.log
ln -s $release /srv/script/new
mv -T /srv/script/new /srv/script/current
systemctl reload-or-restart script.service
\$ask --unix-socket /run/script.sock http://localhost/healthz
EOF
