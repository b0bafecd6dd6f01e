"""A Django project with Channels in one file: pages, and a WebSocket that says what it hears."""

import os

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=[".lab.test"],
    INSTALLED_APPS=["channels"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ["SECRET_KEY"],
)


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data=text_data)


def healthz(request):
    return HttpResponse("channels")


def client(request):
    values = {"address": request.META["REMOTE_ADDR"], "scheme": request.scheme}
    return JsonResponse({**values, "url": request.build_absolute_uri()})


urlpatterns = [path("healthz", healthz), path("client", client)]
application = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": URLRouter([path("echo", Echo.as_asgi())])}
)
