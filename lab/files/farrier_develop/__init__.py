"""Development servers of WSGI, on the socket of systemd and behind nginx; run in the app's environment."""
