"""The other floor of acceptance: a Django view that verifies, inserts by the ORM and enqueues a job, as most write it.

It carries no middleware and keeps its connections, which favours it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sys

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from bench.floors import serve

SECRET = os.environ["FLOOR_SECRET"].encode()
known = conninfo_to_dict(os.environ["FLOOR_CONNINFO"])
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            **{key: known.get(name, "") for key, name in (("NAME", "dbname"), ("USER", "user"), ("PASSWORD", "password"), ("HOST", "host"), ("PORT", "port"))},
            "CONN_MAX_AGE": None,
        }
    },
    INSTALLED_APPS=["procrastinate.contrib.django"],
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1"],
    SECRET_KEY="floor",
    TIME_ZONE="UTC",
    USE_TZ=True,
)  # fmt: skip
django.setup()

from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from procrastinate.contrib.django import app  # noqa: E402


class Receipt(models.Model):
    received_at = models.DateTimeField(auto_now_add=True)
    headers = models.JSONField()
    body = models.BinaryField()

    class Meta:
        app_label = "floor_plain"

    def __str__(self) -> str:
        return str(self.pk)


@app.task(queue="floor")
def read(receipt: int) -> None:
    """Never run: only what enqueueing costs is measured."""


def hook(request: HttpRequest) -> HttpResponse:
    signature = hmac.new(SECRET, request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(f"sha256={signature}", request.headers.get("X-Hub-Signature-256", "")):
        return HttpResponse(status=401)
    with transaction.atomic():
        receipt = Receipt.objects.create(headers=dict(request.headers), body=request.body)
        read.defer(receipt=receipt.pk)
    return HttpResponse(headers={"Content-Length": "0"})


urlpatterns = [path("hook", hook)]

if __name__ == "__main__":
    if not connection.introspection.table_names().count("floor_plain_receipt"):
        with connection.schema_editor() as editor:
            editor.create_model(Receipt)
    if "--wsgi" in sys.argv:
        serve(WSGIHandler(), interface="wsgi")
    else:
        serve(ASGIHandler(), interface="asgi3", lifespan="off")
