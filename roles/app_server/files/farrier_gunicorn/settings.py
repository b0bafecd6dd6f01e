"""gunicorn's settings for every app: `python -m gunicorn --config …/settings.py`.

Static. What differs between apps is read from the JSON file that FARRIER_SETTINGS names, at the start and at
every reload; gunicorn executes this file each time.
"""

from farrier_gunicorn import hooks
from farrier_gunicorn.master import MASTER
from farrier_gunicorn.servers import WORKER_CLASSES

_app = MASTER.load()

proc_name = _app.name
wsgi_app = _app.module
workers = _app.workers
threads = _app.threads
worker_class = WORKER_CLASSES[_app.worker_class].path

bind = list(_app.bind)
backlog = _app.backlog  # uvicorn calls listen() again: this replaces what systemd has asked for
forwarded_allow_ips = MASTER.trusted_proxies
# What nginx sets; it passes on whatever else a client has sent.
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
forwarder_headers = ""

timeout = _app.timeout_seconds
graceful_timeout = _app.graceful_timeout_seconds
keepalive = _app.keepalive_seconds
max_requests = _app.max_requests
max_requests_jitter = _app.max_requests_jitter

# The master stays out of every release, so that any can be pruned; a worker enters its own after the fork.
chdir = "/"
# On a file system in memory, private to the app and writable under the strictest sandbox.
worker_tmp_dir = str(_app.run_directory)
control_socket_disable = True

errorlog = "-"
# The hand-over worker writes its own, as JSON.
accesslog = None if _app.hands_over else "-"

on_starting = hooks.on_starting
on_reload = hooks.on_reload
pre_fork = hooks.pre_fork
post_fork = hooks.post_fork
post_worker_init = hooks.post_worker_init
child_exit = hooks.child_exit
if _app.interface == "wsgi":  # gunicorn's own server for ASGI would call it, too
    post_request = hooks.post_request
