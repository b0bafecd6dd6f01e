"""What the modules of the web server and its certificates share. On hosts, so the standard library only."""
