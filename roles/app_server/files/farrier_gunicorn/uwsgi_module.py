"""What uWSGI imports: the app, and who looks after the worker."""

from __future__ import annotations

import uwsgi  # only within uWSGI

from farrier_gunicorn.uwsgi_worker import UwsgiWorker

application = UwsgiWorker.running.application
uwsgi.post_fork_hook = UwsgiWorker.running.begin
uwsgi.atexit = UwsgiWorker.running.end
