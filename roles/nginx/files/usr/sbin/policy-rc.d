#!/bin/sh
# Debian's package scripts ask here before they touch a service: 101 forbids it, 0 allows it.
# An upgrade of nginx-common would restart nginx, which refuses connections meanwhile; right after it the package nginx
# exchanges the running program without closing any. `systemctl restart nginx` is not asked about.
case "${1%.service} $2" in
    "nginx restart") exit 101 ;;
    *) exit 0 ;;
esac
