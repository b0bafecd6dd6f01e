"""Development servers of WSGI on the socket of systemd, behind the nginx of the kit. In the app's own environment."""
