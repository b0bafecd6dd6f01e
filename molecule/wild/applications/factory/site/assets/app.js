fetch("/healthz")
