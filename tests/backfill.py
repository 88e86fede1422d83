"""`python -m tests.backfill [KIND …]`: earlier files written to simulated CRMs by a worker that is killed on the way, each
call counted by the CRM. The bench and a test run the same."""

from __future__ import annotations

import argparse
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from sandbox import hubspot, salesforce, zendesk, zoho
from sandbox.hubspot.app import app as hubspot_app
from sandbox.salesforce.app import app as salesforce_app
from sandbox.salesforce.org import MEDIA as SALESFORCE_MEDIA
from sandbox.zendesk.account import CLIENT_ID
from sandbox.zendesk.account import MEDIA as ZENDESK_MEDIA
from sandbox.zendesk.app import app as zendesk_app
from sandbox.zoho.app import app as zoho_app
from tests.house import House, house, wait_for

FILES, PEOPLE, KILLS = 10_000, 2_000, 2
PATIENCE_S = 3600.0
SECRET = "a-secret-of-nobody"
TYPED_IN = 5
"""Every so many customers somebody had typed in before, as people write numbers."""
WORKER = ("worker", "--queues", "deliver,tick")
LAY = "from tests.backfill import lay; lay({files}, {people})"


@dataclass(frozen=True, slots=True)
class Vendor:
    """One simulated CRM, and how a run asks it afterwards."""

    make: Callable[[], Any]
    serve: Callable[[Any], Any]
    access: tuple[str, ...]
    """For `acervo connect`."""
    type_in: Callable[[Any, str], object]
    contacts: Callable[[Any], int]
    records: Callable[[Any], list[str]]
    """Our ids of the files it holds, doubles included."""
    calls: Callable[[Any], Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: str
    files: int
    people: int
    calls: int
    expected_calls: int
    records: int
    doubled: int
    contacts: int
    kills: int
    seconds: float
    by_operation: Mapping[str, int]

    @property
    def calls_a_file(self) -> float:
        return self.calls / self.files


VENDORS = {
    "hubspot": Vendor(
        make=lambda: hubspot.create_account(SECRET, search_lag_s=0.0),
        serve=hubspot_app,
        access=("--token", SECRET),
        type_in=lambda account, phone: account.add_contact(firstname="Cliente", phone=phone),
        contacts=lambda account: len(account.contacts()),
        records=lambda account: [
            one.values["wa_media_id"]
            for type_id in account.schemas
            for one in account.records[type_id].values()
            if one.is_live
        ],
        calls=lambda account: account.traffic.by_operation,
    ),
    "salesforce": Vendor(
        make=lambda: salesforce.create_org("client", SECRET, search_lag_s=0.0, daily=100_000),
        serve=salesforce_app,
        access=("--client-id", "client", "--client-secret", SECRET),
        type_in=lambda org, phone: org.add("Contact", LastName="Cliente", Phone=phone),
        contacts=lambda org: len(list(org.live_of("Contact"))),
        records=lambda org: [one.get("Media_Id__c") for one in org.live_of(SALESFORCE_MEDIA)],
        calls=lambda org: org.traffic.by_operation,
    ),
    "zendesk": Vendor(
        make=lambda: zendesk.create_account(SECRET, search_lag_s=0.0, per_minute=2_500, job_s=0.2),
        serve=zendesk_app,
        access=("--subdomain", "aurora", "--client-id", CLIENT_ID, "--secret", SECRET),
        type_in=lambda account, phone: account.people.add(name="Cliente", phone=phone),
        contacts=lambda account: sum(user.is_active for user in account.people.users.values()),
        records=lambda account: [
            str(record.external_id) for record in account.objects.objects[ZENDESK_MEDIA].records.values()
        ],
        calls=lambda account: account.by_operation,
    ),
    "zoho": Vendor(
        make=lambda: zoho.create_account(SECRET, search_lag_s=0.0),
        serve=zoho_app,
        access=(
            "--client-id", "1000.SIMULATED", "--client-secret", "simulated-secret", "--refresh-token", SECRET,
        ),
        type_in=lambda account, phone: account.add_contact(Phone=phone),
        contacts=lambda account: sum(one.is_live for one in account.records["Contacts"].values()),
        records=lambda account: [
            str(one.values["WA_Media_Id"]) for one in account.records["WhatsAppMedia"].values() if one.is_live
        ],
        calls=lambda account: account.traffic.by_operation,
    ),
}  # fmt: skip


def backfilled(kind: str, *, files: int = FILES, people: int = PEOPLE, kills: int = KILLS) -> Outcome:
    """An installation with that many kept files, and the CRM of a simulated vendor that gets them all, whatever
    becomes of the worker. Raises AssertionError where it did not come to its end."""
    vendor = VENDORS[kind]
    account = vendor.make()
    for number in range(0, people, TYPED_IN):
        vendor.type_in(account, _as_people_write(phone_of(number)))
    with house() as home, _served(vendor.serve(account)) as url:
        home.acervo("migrate")
        home.move_in()
        home.acervo("manage", "shell", "--no-imports", "-c", LAY.format(files=files, people=people))
        home.acervo("connect", kind, *vendor.access, "--api-base", url, "--backfill-days", "0")
        before = dict(vendor.calls(account))
        expected = home.json("backfill", "look", kind_name(home))
        assert expected["files"] == files, expected
        home.json("backfill", "start", kind_name(home))
        began = time.monotonic()
        for place in range(1, kills + 1):
            _die(home, files * place // (kills + 1))
        with home.part(*WORKER):
            wait_for(lambda: _standing(home)["finished_at"], "written", PATIENCE_S)
        facts = _standing(home)
        assert (facts["written"] + facts["unchanged"], facts["promised"]) == (files, files), facts
        seconds = time.monotonic() - began
    held = vendor.records(account)
    calls = {name: count - before.get(name, 0) for name, count in vendor.calls(account).items()}
    return Outcome(
        kind=kind,
        files=files,
        people=people,
        calls=sum(calls.values()),
        expected_calls=expected["calls"],
        records=len(set(held)),
        doubled=len(held) - len(set(held)),
        contacts=vendor.contacts(account),
        kills=kills,
        seconds=seconds,
        by_operation={name: count for name, count in sorted(calls.items()) if count},
    )


def lay(files: int, people: int) -> None:
    """In an installation: kept and prepared files of many people, mixed as they would come, as rows only."""
    from datetime import timedelta

    from acervo.base import clock, ids
    from acervo.models import Chat, MediaFile, Message, Person, PersonIdentifier, Workspace
    from tests.conftest import make_connection

    workspace = Workspace.objects.get()
    number = make_connection(workspace, "meta_cloud")
    at = clock.now() - timedelta(days=3)
    everybody = [Person(workspace=workspace, name=f"Cliente {n}") for n in range(people)]
    Person.objects.bulk_create(everybody)
    PersonIdentifier.objects.bulk_create(
        PersonIdentifier(workspace=workspace, person=person, kind="phone", value=phone_of(n))
        for n, person in enumerate(everybody)
    )
    chats = [Chat(workspace=workspace, connection=number, person=person) for person in everybody]
    Chat.objects.bulk_create(chats)
    whose = [n % people for n in range(files)]
    random.Random(7).shuffle(whose)
    messages = [
        Message(
            workspace=workspace, connection=number, chat=chats[n], provider_id=f"wamid.{place}", direction="in",
            type="voice", sent_at=at,
        )
        for place, n in enumerate(whose)
    ]  # fmt: skip
    Message.objects.bulk_create(messages, batch_size=1000)
    MediaFile.objects.bulk_create(
        (
            MediaFile(
                id=ids.new(), workspace=workspace, connection=number, chat=message.chat, person=message.chat.person,
                message=message, kind="voice", direction="in", provider_id=str(place), sent_at=at, received_at=at,
                fetch_before=at + timedelta(days=7), due_at=at, announced_mime="audio/ogg", mime="audio/ogg",
                object_key=f"laid/{place}", size_bytes=9471, sealed_bytes=9471, sha256="a" * 64, sealing="storage",
                stored_at=at, prepared_at=at, duration_s=42.4,
            )
            for place, message in enumerate(messages)
        ),
        batch_size=1000,
    )  # fmt: skip


def phone_of(number: int) -> str:
    return f"+5511555{number:05d}"


def _as_people_write(phone: str) -> str:
    return f"({phone[3:5]}) {phone[5:9]}-{phone[9:]}"


def kind_name(home: House) -> str:
    ((name,),) = home.ask("SELECT name FROM acervo_connection WHERE purpose = 'crm'")
    return str(name)


def _die(home: House, written: int) -> None:
    """A worker begins, and is killed in the middle of a batch once so many files are written."""
    with home.part(*WORKER) as worker:
        wait_for(lambda: _standing(home)["written"] >= written, "far enough", PATIENCE_S, every_s=0.1)
        time.sleep(random.uniform(0.0, 0.3))
        worker.kill()
    assert not _standing(home)["finished_at"], "killed too late"
    # That leases end by themselves, and the jobs of the dead are found, is another test's business.
    home.ask("UPDATE acervo_delivery SET claimed_until = now() WHERE claimed_until > now()")
    home.ask(
        "SELECT procrastinate_retry_job_v1(max(id), now(), NULL, NULL, NULL) FROM procrastinate_jobs dead "
        "WHERE status = 'doing' AND task_name = 'acervo:deliver' AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs twin "
        "WHERE twin.status = 'todo' AND twin.queueing_lock = dead.queueing_lock) GROUP BY queueing_lock"
    )


def _standing(home: House) -> dict[str, Any]:
    ((facts,),) = home.ask("SELECT row_to_json(b) FROM acervo_backfill b")
    return dict(facts)


@contextmanager
def _served(app: Any) -> Iterator[str]:
    """In this process, so that what it holds can be looked at."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.backfill", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", default=list(VENDORS), help=", ".join(VENDORS))
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--kills", type=int, default=KILLS)
    options = parser.parse_args()
    for kind in options.kinds:
        found = backfilled(kind, files=options.files, people=options.people, kills=options.kills)
        print(
            f"{kind}: {found.files} files of {found.people} people, killed {found.kills} times: {found.records} "
            f"records, {found.doubled} doubled, {found.contacts} contacts; {found.calls} calls "
            f"({found.calls_a_file:.3f} a file, {found.expected_calls} expected) in {found.seconds:.0f} s",
            json.dumps(found.by_operation),
            flush=True,
        )
        if (found.records, found.doubled, found.contacts) != (found.files, 0, found.people):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
