"""Two stores for one suite: a local folder and an S3 server on loopback."""

from __future__ import annotations

import os
import urllib.request

import pytest

from acervo.base import ids
from acervo.keep import keys
from acervo.keep.keys import OpenKey
from acervo.keep.storage import configured

BUCKET = "acervo-tests"


@pytest.fixture(scope="session")
def s3_server():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    request = urllib.request.Request(f"{address}/{BUCKET}", method="PUT")
    urllib.request.urlopen(request).close()
    yield address
    server.stop()


@pytest.fixture
def s3_url(s3_server, monkeypatch):
    for name, value in s3_environment(s3_server).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{ids.text(ids.new())}"


def s3_environment(address: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "sample",
        "AWS_SECRET_ACCESS_KEY": "sample",
        "AWS_REGION": "us-east-1",
    }


@pytest.fixture
def folder_url(tmp_path):
    return (tmp_path / "files").as_uri()


@pytest.fixture(params=["folder", "s3"])
def storage(request, settings):
    """The installation's store, once for each kind."""
    settings.ACERVO_STORAGE_URL = request.getfixturevalue(f"{request.param}_url")
    return configured()


@pytest.fixture
def folder(folder_url, settings):
    settings.ACERVO_STORAGE_URL = folder_url
    return configured()


@pytest.fixture(autouse=True)
def _no_keys_in_memory():
    keys.forget()
    yield
    keys.forget()


@pytest.fixture
def open_key():
    """A data key that is in memory, so that no database is asked for it."""
    key = OpenKey(ids.new(), ids.new(), os.urandom(32))
    keys._data_keys.put(key.id, key)
    return key


async def names(storage) -> set[str]:
    return {found.key async for found in storage.list()}
