"""Makes code at run time, reads about the machine and asks for its interfaces, all at import."""

import mmap
import socket
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory = Path("/proc/meminfo").read_text()
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


def healthz(request):
    return PlainTextResponse("unbound")


app = Starlette(routes=[Route("/healthz", healthz)])
