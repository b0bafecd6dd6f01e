"""`python -m farrier_develop.runserver runserver`: Django's own, by way of the project's manage.py."""

from __future__ import annotations

import os
import socket as sockets  # a server has an attribute of that name
from typing import Any

from django.conf import settings
from django.core.management.commands import runserver
from django.core.servers import basehttp
from django.utils.autoreload import StatReloader

from farrier_develop.proxied import DOMAIN, SOCKET_DESCRIPTOR, Proxied

LOOK_SECONDS = 0.2  # for saved files; Django's own second is half of what a reload takes


class Server(basehttp.WSGIServer):
    """On the socket that systemd holds: requests wait there while the server starts anew."""

    socket: sockets.socket

    def server_bind(self) -> None:
        """Take the socket."""
        self.socket.close()
        self.socket = sockets.socket(fileno=os.dup(SOCKET_DESCRIPTOR))
        self.server_name, self.server_port = DOMAIN, 443
        self.setup_environ()

    def server_activate(self) -> None:
        """It listens already."""

    def get_request(self) -> tuple[sockets.socket, tuple[str, int]]:
        """Accept a connection; the proxy has no address on a unix socket."""
        return self.socket.accept()[0], ("127.0.0.1", 0)

    def set_app(self, application: Any) -> None:
        """Serve the app under the lab's name too."""
        local = [".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else []
        settings.ALLOWED_HOSTS = [*(settings.ALLOWED_HOSTS or local), DOMAIN]
        super().set_app(Proxied(application))


if __name__ == "__main__":
    import manage  # the project's

    StatReloader.SLEEP_TIME = LOOK_SECONDS
    runserver.Command.server_cls = Server
    manage.main()
