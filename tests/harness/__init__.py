"""What the scenarios, the benchmarks and the load tests share."""
