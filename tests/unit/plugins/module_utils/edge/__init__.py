"""Tests of what the modules of the web server and its certificates do on a host."""
