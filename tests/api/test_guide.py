"""The examples of the guide are run, as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client

from acervo.base import clock, ids
from acervo.models import Delivery
from tests.conftest import make_connection

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "api.md").read_text()
EXAMPLES = [block.strip() for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)]
URL = "http://127.0.0.1:8000"


def curl(line, names):
    """What curl would send, through Django's client: the few options the guide uses, and no others."""
    filled = re.sub(r"\$([A-Z_]+)", lambda found: names[found[1]], line.replace("\\\n", " "))
    arguments = iter(shlex.split(filled)[1:])
    method, headers, sent, is_query, address = "", {}, [], False, ""
    for argument in arguments:
        if argument == "-G":
            is_query = True
        elif argument == "-X":
            method = next(arguments)
        elif argument == "-H":
            name, _colon, value = next(arguments).partition(": ")
            headers[name] = value
        elif argument in ("-d", "--data-urlencode"):
            sent.append((argument, next(arguments)))
        else:
            assert argument.startswith(URL), argument
            address = argument
    parts = urlsplit(address)
    where = f"{parts.path}?{parts.query}" if parts.query else parts.path
    if is_query:
        asked = [
            urlencode([tuple(value.split("=", 1))]) if option == "--data-urlencode" else value
            for option, value in sent
        ]
        return Client().get(f"{where}?{'&'.join(asked)}", headers=headers)
    body = "".join(value for _option, value in sent)
    method = method or ("POST" if body else "GET")
    return Client().generic(
        method, where, body, headers.get("Content-Type", "application/x-www-form-urlencoded"), headers=headers
    )


@pytest.fixture
def names(program_of, alice, workspace, kept_file):
    media = kept_file()
    crm = make_connection(workspace, "hubspot", account_id="4242", secrets={"token": "x"})
    promised = Delivery.objects.create(
        workspace=workspace, connection=crm, media=media, promised_at=clock.now(), due_at=clock.now(),
        refusal="validation", refused_at=clock.now(), stopped_at=clock.now(),
    )  # fmt: skip
    return {
        "ARCHIVE": URL,
        "TOKEN": program_of(alice).token,
        "MEDIA": media.slug,
        "PHONE": "+15555550142",
        "PERSON": ids.text(media.person_id),
        "CONNECTION": ids.text(crm.pk),
        "DELIVERY": ids.text(promised.pk),
    }


@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_guide_works(example, names):
    answer = curl(example, names)
    assert answer.status_code in (200, 201, 202), answer.content
    if "phone=" in example or "state=stopped" in example:
        assert len(answer.json()["items"]) == 1


def test_the_guide_has_examples_and_names_every_code_it_explains():
    assert len(EXAMPLES) >= 8
    source = " ".join(
        path.read_text() for path in (Path(__file__).parents[2] / "acervo" / "api").glob("*.py")
    )
    told = set(re.findall(r"`([a-z]+_[a-z_]+)`", GUIDE.split("## When it is refused")[1].split("##")[0]))
    assert {code for code in told if f'"{code}"' not in source} == set()
