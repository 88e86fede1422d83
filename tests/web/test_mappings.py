"""The mapping page: what is chosen is shown on a real file, checked against the CRM, saved with a reason, taken back."""

import pytest

from acervo.base import clock, ids
from acervo.crms.fake.account import ACCOUNTS, FakeAccount
from acervo.deliver import mapping
from acervo.models import AuditEntry, Delivery, MappingVersion
from tests.conftest import make_connection

TOKEN = "mapping-page"


@pytest.fixture
def crm(workspace):
    row = make_connection(
        workspace, "fake", purpose="crm", account_id="fake", name="CRM", secrets={"token": TOKEN}
    )
    row.account = FakeAccount(TOKEN)
    row.account.own_fields["media"] |= {"what_it_is": "text", "weight": "number", "secret": "other"}
    row.account.own_fields["contact"] |= {"last_link": "text"}
    yield row
    ACCOUNTS.pop(TOKEN)


@pytest.fixture
def client(page_of, alice):
    return page_of(alice)


def address(crm, end=""):
    return f"/settings/connections/{ids.text(crm.pk)}/mapping{end}"


def sent(seen=0, reason="agents look there", **changes):
    return {
        "seen": str(seen),
        "reason": reason,
        **{name.replace("__", "."): one for name, one in changes.items()},
    }


def test_only_fields_of_a_fitting_type_are_offered(client, crm, kept_file):
    kept_file()
    shown = client.get(address(crm)).content.decode()
    assert 'value="to:what_it_is:text"' in shown
    assert 'value="to:weight:number"' in shown
    assert "to:secret" not in shown
    rows = shown.split("<fieldset")
    kind = next(row for row in rows if 'name="to.media.kind"' in row)
    assert "weight" not in kind


def test_a_choice_is_saved_as_a_version_with_its_reason_and_shown_on_the_file(client, crm, kept_file):
    kept_file(kind="voice")
    answer = client.post(
        address(crm), sent(to__media__kind="to:what_it_is:text", form__media__kind="words", words__media__kind="pt",
                           to__media__chat="off"),
    )  # fmt: skip
    assert answer.status_code == 302
    row = MappingVersion.objects.get()
    assert (row.number, row.reason) == (1, "agents look there")
    assert row.rules["media"]["kind"]["to"] == {"name": "what_it_is", "type": "text"}
    assert row.rules["media"]["chat"] == {"off": True}
    entry = AuditEntry.objects.get(action="mapping.changed")
    assert entry.details["changed"] == ["media.chat", "media.kind"]
    shown = client.get(address(crm)).content.decode()
    assert 'data-value="media.kind">Áudio de voz' in shown
    assert 'data-value="media.chat"' not in shown


def test_the_preview_follows_what_is_typed_and_saves_nothing(client, crm, kept_file):
    file = kept_file(kind="video", caption="bom dia")
    typed = sent(go__video="some", query__video="defeito", form__media__title="upper", file=file.slug)
    shown = client.post(address(crm, "/preview"), typed).content.decode()
    assert 'data-goes="no"' in shown
    assert 'data-value="media.title">VIDEO' in shown
    typed["query.video"] = "bom"
    assert 'data-goes="yes"' in client.post(address(crm, "/preview"), typed).content.decode()
    assert not MappingVersion.objects.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"to__media__kind": "to:weight:number"}, "another type"),
        ({"to__media__kind": "to:gone:text"}, "not in the CRM any more"),
        ({"to__media__title": "off", "to__media__size_bytes": "to:what_it_is:text", "to__media__mime": "to:what_it_is:text"}, "same field"),
        ({"form__media__title": "shortened", "shortened__media__title": "2"}, "whole number"),
        ({"go__video": "some", "query__video": ""}, "Say which ones"),
        ({"go__video": "some", "query__video": "crm=none"}, "does not understand"),
        ({"go__video": "some", "query__video": "colour=red"}, "does not understand"),
        ({"go__video": "none", "reason": ""}, "Say why"),
        ({"go__video": "none", "seen": "4"}, "meanwhile"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_beside_its_field_and_nothing_is_saved(client, crm, changes, said):
    answer = client.post(address(crm), sent(**changes))
    assert answer.status_code in (409, 422)
    assert said in answer.content.decode()
    assert not MappingVersion.objects.exists()


def test_the_reasons_words_and_queries_stay_out_of_the_audit_details(client, crm):
    client.post(address(crm), sent(go__video="some", query__video="q=Marina"))
    assert mapping.current(crm.pk)[1].switch("video").query == "q=Marina"
    assert "Marina" not in str(AuditEntry.objects.get(action="mapping.changed").details)


def test_an_earlier_version_comes_back_as_a_new_one(client, crm):
    client.post(address(crm), sent(go__sticker="none"))
    client.post(address(crm), sent(1, go__video="none"))
    answer = client.post(address(crm, "/restore"), {"version": "1", "seen": "2"})
    assert answer.status_code == 302
    number, rules = mapping.current(crm.pk)
    assert number == 3
    assert rules.switch("sticker").go == "none"
    assert rules.switch("video").go == "all"
    client.post(address(crm, "/restore"), {"version": "0", "seen": "3"})
    assert mapping.current(crm.pk)[1] == mapping.FIRST


def test_writing_anew_is_offered_and_done_only_when_asked(client, crm, kept_file):
    media = kept_file()
    at = clock.now()
    Delivery.objects.create(
        workspace=crm.workspace, connection=crm, media=media, promised_at=at, due_at=at, delivered_at=at
    )
    client.post(address(crm), sent(to__media__chat="off"))
    assert Delivery.objects.get().delivered_at
    assert 'id="rewrite"' in client.get(address(crm)).content.decode()
    client.post(address(crm, "/rewrite"))
    assert Delivery.objects.get().delivered_at is None
    assert AuditEntry.objects.get(action="mapping.rewritten").details["files"] == 1


def test_a_crm_that_is_away_says_so_and_keeps_what_was_chosen(client, crm, kept_file):
    kept_file()
    crm.account.is_token_accepted = False
    shown = client.get(address(crm))
    assert shown.status_code == 200
    assert "does not accept this access" in shown.content.decode()
    answer = client.post(address(crm), sent(go__video="none"))
    assert answer.status_code == 422
    assert not MappingVersion.objects.exists()
