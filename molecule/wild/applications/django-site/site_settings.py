"""A Django project in one file, as small as Django allows; plain HTTP is redirected."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=[".lab.test"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ["SECRET_KEY"],
    SECURE_SSL_REDIRECT=True,
)


def healthz(request):
    return HttpResponse("django")


def client(request):
    values = {"address": request.META["REMOTE_ADDR"], "scheme": request.scheme}
    return JsonResponse({**values, "url": request.build_absolute_uri()})


urlpatterns = [path("healthz", healthz), path("client", client)]
application = get_wsgi_application()
