"""Print the TCP ports of an address that answer: python3 scan.py ADDRESS"""

import errno
import resource
import select
import socket
import sys
import time

AT_A_TIME = 8000
WAIT_SECONDS = 1.0


def answering(address, ports):
    poll, waiting, found = select.poll(), {}, []
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for port in ports:
        connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if connection.connect_ex((address, port)) == errno.EINPROGRESS:
            waiting[connection.fileno()] = port, connection
            poll.register(connection, select.POLLOUT)
    until = time.monotonic() + WAIT_SECONDS
    while waiting and (left := until - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            port, connection = waiting.pop(descriptor)
            poll.unregister(descriptor)
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(port)
            connection.close()
    for _, connection in waiting.values():
        connection.close()
    return found


resource.setrlimit(resource.RLIMIT_NOFILE, (2 * AT_A_TIME, 2 * AT_A_TIME))
for first in range(1, 65536, AT_A_TIME):
    for port in sorted(answering(sys.argv[1], range(first, min(first + AT_A_TIME, 65536)))):
        print(port)
