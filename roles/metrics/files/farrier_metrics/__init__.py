"""What the kit knows of a host, as metrics in a file that the node exporter of Prometheus reads."""
