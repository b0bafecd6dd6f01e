"""What the modules of the web server and its certificates share: they run on the hosts, with the standard library only."""
