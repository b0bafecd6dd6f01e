"""Farrier's release tool: turns a source archive into a live release of one application, or leaves the live
one alone.

It runs as root on the host, with nothing but the standard library. Foreign code (build backends, the
application, its migrations and hooks) never runs in this process: it runs in transient systemd units as the
build user or the application's user.
"""
