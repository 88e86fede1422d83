"""Who is who in a CRM, why a file is not there, its deals and tickets, and what the CRM holds: as members use the pages."""

from __future__ import annotations

from html import unescape

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob

from acervo.base import clock, ids
from acervo.models import (
    AuditEntry,
    Connection,
    ContactDecision,
    Deed,
    Delivery,
    Discrepancy,
    MediaFile,
    RecordLink,
    by_member,
)
from tests.conftest import make_member, make_person
from tests.deliver.conftest import (  # noqa: F401  (fixtures)
    PHONE,
    compare,
    crm,
    deliver,
    deliver_async,
    http,
    one_transaction,
    person,
    prepared,
    promised,
    refusing,
)

# ruff: noqa: F811


def text(answer, status=200):
    assert answer.status_code == status, answer.status_code
    return unescape(answer.content.decode())


@pytest.fixture
def pair(crm):
    return [
        crm.account.add("contact", {"first_name": name, "phone": PHONE, "company": "Aurora"})
        for name in ("Lia", "Loja da Lia")
    ]


@pytest.fixture
def row(crm, promised, person, pair, deliver):
    """A file that waits for somebody to say whose it is."""
    made = promised(person=person)
    assert deliver(crm).stopped == 1
    return Delivery.objects.select_related("media").get(pk=made.pk)


def where(crm, person):
    return f"/review/{ids.text(crm.pk)}/{ids.text(person.pk)}"


def decide(client, crm, person, **typed):
    return client.post(f"{where(crm, person)}/decide", typed)


def test_with_nobody_waiting_the_page_says_what_it_is_for(page_of, alice):
    shown = text(page_of(alice).get("/review"))
    assert "Nobody waits for an answer" in shown
    assert 'class="count"' not in shown


def test_who_waits_is_counted_in_the_navigation_and_shown_first(page_of, alice, crm, row, person):
    shown = text(page_of(alice).get("/review"))
    assert "Who is Marina Duarte in Simulated CRM?" in shown
    assert "1 of 1" in shown
    assert 'class="count">1<' in shown
    assert "+1 555-555-0142" in shown
    assert 'hx-trigger="load"' in shown, "the CRM is asked once the page is there"


def test_the_contacts_stand_side_by_side_as_the_crm_has_them(page_of, alice, crm, row, person, pair):
    for address in (f"{where(crm, person)}/candidates", f"{where(crm, person)}?look=1"):
        shown = text(page_of(alice).get(address))
        assert "Loja da Lia" in shown
        assert shown.count("Has the number") == 2
        assert f'value="record:{pair[1].id}"' in shown
    assert not ContactDecision.objects.exists()
    assert "Loja da Lia" not in str(list(Delivery.objects.values())), "nothing but ids is kept"


def test_another_contact_is_looked_at_before_it_is_chosen(page_of, alice, crm, row, person):
    other = crm.account.add("contact", {"first_name": "Lia Antiga"})
    shown = text(page_of(alice).get(where(crm, person), {"besides": f"https://crm.example/x/{other.id}"}))
    assert "Lia Antiga" in shown
    assert "Not found by the number" in shown
    shown = text(page_of(alice).get(where(crm, person), {"besides": "Lia"}))
    assert "neither the address of a contact nor its id" in shown


def test_an_answer_sets_everything_going_and_can_be_taken_back(page_of, bob, crm, row, person, pair, deliver):
    client = page_of(bob)
    answer = decide(client, crm, person, answer=f"record:{pair[1].id}", reason="she said so")
    assert answer["Location"] == "/review"
    assert "are on their way to Simulated CRM" in text(client.get("/review"))
    assert deliver(crm).delivered == 1
    past = text(client.get("/review/decided"))
    assert "she said so" in past
    assert "Bob" in past
    decision = ContactDecision.objects.get()
    client.post(f"/review/decided/{decision}/undo")
    assert "Who is Marina Duarte" in text(client.get("/review"))
    assert "Taken back" in text(client.get("/review/decided"))
    assert "what was written is leaving the CRM" in text(client.get("/review/decided"))


def test_without_an_answer_nothing_is_decided_and_what_was_typed_stays(page_of, alice, crm, row, person):
    shown = text(decide(page_of(alice), crm, person, reason="because"), 422)
    assert "Choose one of the answers first. Nothing was decided." in shown
    assert 'value="because"' in shown


def test_a_contact_that_is_gone_is_said_and_the_others_are_shown_anew(page_of, alice, crm, row, person, pair):
    pair[0].is_live = False
    shown = text(decide(page_of(alice), crm, person, answer=f"record:{pair[0].id}"), 422)
    assert "This contact is no longer in the CRM" in shown
    assert f"record:{pair[0].id}" not in shown
    assert f"record:{pair[1].id}" in shown


def test_the_second_of_two_is_told_who_was_first(page_of, alice, bob, crm, row, person, pair):
    decide(page_of(bob), crm, person, answer=f"record:{pair[0].id}")
    late = page_of(alice)
    decide(late, crm, person, answer=f"record:{pair[1].id}")
    assert "Bob decided this a moment ago: One of the CRM's contacts was chosen." in text(late.get("/review"))
    assert RecordLink.objects.get(person=person).record_id == pair[0].id


def test_a_crm_that_is_away_is_said_beside_the_answer(page_of, alice, crm, row, person, pair):
    crm.account.is_token_accepted = False
    shown = text(decide(page_of(alice), crm, person, answer=f"record:{pair[0].id}"), 422)
    assert "no longer accepts our access" in shown
    assert not ContactDecision.objects.exists()


def test_kept_out_the_files_say_so_and_lead_to_the_decision(page_of, alice, crm, row, person):
    client = page_of(alice)
    decide(client, crm, person, answer="left_out")
    shown = text(client.get(f"/m/{row.media.slug}"))
    assert "Kept out of the CRM" in shown
    assert "/review/decided" in shown
    assert "Send again" not in shown


def test_an_agent_is_asked_only_about_people_whose_files_they_see(
    page_of, bob, team, crm, row, promised, workspace, deliver
):
    shown = text(page_of(bob).get("/review"))
    assert "Who is Marina Duarte" in shown
    stranger = make_person(workspace, "Outra Pessoa", phone="+15555550199")
    for name in ("Um", "Dois"):
        crm.account.add("contact", {"first_name": name, "phone": "+15555550199"})
    promised(person=stranger, kind="image")
    deliver(crm)
    shown = text(page_of(bob).get("/review"))
    assert "Outra Pessoa" not in shown
    assert page_of(bob).get(where(crm, stranger)).status_code == 404


# ── why a file is not there ──


def test_the_files_page_says_what_to_do_and_leads_there(page_of, alice, crm, row, person):
    shown = text(page_of(alice).get(f"/m/{row.media.slug}"))
    assert "Several records in the CRM have this number" in shown
    assert f'href="{where(crm, person)}"' in shown


def test_a_file_from_before_the_crm_can_be_written_now(page_of, alice, crm, prepared, deliver):
    media = prepared()
    client = page_of(alice)
    shown = text(client.get(f"/m/{media.slug}"))
    assert "It came before this CRM was connected" in shown
    client.post(f"/m/{media.slug}/write/{ids.text(crm.pk)}")
    assert deliver(crm).delivered == 1
    assert AuditEntry.objects.get(action="delivery.promised").by == by_member(alice)
    assert "Write it now" not in text(client.get(f"/m/{media.slug}"))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"prepared_at": None}, "It is written there once it is here"),
        ({"hidden_at": clock.now()}, "Its sender took it back"),
        ({"scanned_at": clock.now(), "infection": "Eicar"}, "A file that is held or in quarantine"),
    ],
)
def test_what_no_crm_may_have_says_why(page_of, alice, crm, prepared, facts, said):
    media = prepared()
    MediaFile.objects.filter(pk=media.pk).update(**facts)
    client = page_of(alice)
    shown = text(client.get(f"/m/{media.slug}"))
    assert said in shown
    assert "Write it now" not in shown
    client.post(f"/m/{media.slug}/write/{ids.text(crm.pk)}")
    assert not Delivery.objects.exists()


def stop(row, refusal, **facts):
    now = clock.now()
    Delivery.objects.filter(pk=row.pk).update(
        stopped_at=now, refusal=refusal, refused_at=now, refusal_facts=facts, attempts=3
    )


def test_stopped_files_are_listed_by_reason_and_tried_again_together(page_of, alice, crm, promised, deliver):
    values = [promised() for _ in range(3)]
    for one in values:
        stop(one, "validation", vendor_code="INVALID_OPTION")
    other = promised()
    stop(other, "forbidden")
    here = f"/integrations/{ids.text(crm.pk)}/undelivered"
    client = page_of(alice)
    shown = text(client.get(here))
    assert "INVALID_OPTION" in shown
    assert shown.count('name="delivery"') == 4
    assert text(client.get(here, {"why": "forbidden"})).count('name="delivery"') == 1
    client.post(f"{here}/retry", {"why": "validation", "delivery": str(values[0])})
    assert Delivery.objects.stopped().count() == 3
    client.post(f"{here}/retry", {"why": "validation"})
    assert [one.pk for one in Delivery.objects.stopped()] == [other.pk]
    client.post(f"{here}/retry")
    assert deliver(crm).delivered == 4
    assert "Nothing stopped" in text(client.get(here))


def test_the_page_of_the_connection_says_that_files_wait_for_somebody(page_of, alice, crm, promised):
    here = f"/integrations/{ids.text(crm.pk)}"
    stop(promised(), "left_out")
    assert "waits for somebody" not in text(page_of(alice).get(here))
    stop(promised(), "validation")
    shown = text(page_of(alice).get(here))
    assert "1 file waits for somebody" in shown
    assert "Everything about this connection is as it should be" not in shown


def test_older_ones_are_on_the_next_page(page_of, alice, crm, promised, monkeypatch):
    monkeypatch.setattr("acervo.web.undelivered.PAGE_SIZE", 2)
    rows = [promised() for _ in range(3)]
    for one in rows:
        stop(one, "validation")
    here = f"/integrations/{ids.text(crm.pk)}/undelivered"
    client = page_of(alice)
    first = text(client.get(here))
    assert "Older" in first
    last = text(client.get(here, {"after": str(rows[1])}))
    assert f"/m/{rows[0].media.slug}" in last
    assert f"/m/{rows[2].media.slug}" not in last


def test_what_is_left_out_is_not_tried_again_with_the_others(page_of, alice, crm, promised):
    stop(promised(), "left_out")
    here = f"/integrations/{ids.text(crm.pk)}/undelivered"
    client = page_of(alice)
    client.post(f"{here}/retry")
    assert Delivery.objects.stopped().count() == 1
    assert "See the decision" in text(client.get(here))


# ── deals and tickets ──


@pytest.fixture
def delivered(crm, promised, person, deliver):
    customer = crm.account.add("contact", {"phone": PHONE})
    deal = crm.account.add("deal", {"title": "Reforma da cozinha"})
    crm.account.tie(deal, customer)
    made = promised(person=person)
    assert deliver(crm).delivered == 1
    found = Delivery.objects.select_related("media").get(pk=made.pk)
    found.deal = deal
    return found


def test_a_deal_is_offered_linked_shown_and_taken_off(page_of, alice, crm, delivered, deliver):
    client, file = page_of(alice), f"/m/{delivered.media.slug}"
    offered = text(client.get(f"{file}/deliveries/{delivered}/related"))
    assert "Deal: Reforma da cozinha" in offered
    client.post(f"{file}/deliveries/{delivered}/tie", {"record": f"deal:{delivered.deal.id}"})
    shown = text(client.get(file))
    assert "Linked. The CRM learns of it in a moment." in shown
    assert f"Deal {delivered.deal.id}" in shown
    assert "Reforma" not in shown, "what a deal is called stays in the CRM"
    assert deliver(crm).delivered == 1
    link = RecordLink.objects.get(object_type="deal")
    client.post(f"{file}/ties/{link}/untie")
    assert "is being taken off" in text(client.get(file))
    assert "one of each kind already" in text(client.get(f"{file}/deliveries/{delivered}/related"))
    RecordLink.objects.filter(pk=link.pk).update(untie_refusal="unsupported")
    assert "cannot take it off again by itself" in text(client.get(file))
    client.post(f"{file}/ties/{link}/keep")
    assert RecordLink.objects.get(pk=link.pk).untie_asked_at is None


def test_what_is_not_offered_is_refused_in_words(page_of, alice, delivered):
    client, file = page_of(alice), f"/m/{delivered.media.slug}"
    client.post(f"{file}/deliveries/{delivered}/tie", {"record": "deal:999"})
    assert "not among the deals and tickets" in text(client.get(file))
    link = RecordLink.objects.get(reason="written")
    assert client.post(f"{file}/ties/{link}/untie").status_code == 404, "our own record is no tie"


# ── what the crm holds ──


def page(crm):
    return f"/settings/connections/{ids.text(crm.pk)}/reconciliation"


def test_before_the_first_pass_the_page_says_what_will_happen(page_of, alice, crm):
    assert "There is nothing to compare before the first file" in text(page_of(alice).get(page(crm)))


def test_what_was_changed_is_shown_field_by_field_and_written_again_when_somebody_says(
    page_of, alice, crm, delivered, compare, deliver
):
    client = page_of(alice)
    client.post(f"{page(crm)}/rules", {"repairs": "ask", "ties_to": ["deal"]})
    changed = Connection.objects.get(pk=crm.pk)
    assert (changed.repairs, changed.ties_to) == ("ask", ["deal"])
    [record] = crm.account.live("media")
    record.values |= {"title": "Outra coisa", "direction": ""}
    compare(crm)
    AuditEntry.objects.record(
        crm.workspace_id, by_member(alice), [Deed("file.opened", "file", delivered.media_id)]
    )
    shown = text(client.get(page(crm)))
    assert "Changed in the CRM" in shown
    assert "Outra coisa" in shown
    assert "Voice note 0:42" in shown
    assert "last opened by Alice" in shown
    found = Discrepancy.objects.get()
    client.post(f"{page(crm)}/repair", {"do": "rewrite"})
    assert Discrepancy.objects.open().exists(), "nothing was ticked"
    client.post(f"{page(crm)}/repair", {"do": "rewrite", "found": str(found)})
    assert deliver(crm).delivered == 1
    assert record.values["title"] == "Voice note 0:42"
    assert "Nothing is open." in text(client.get(page(crm)))


def test_all_that_is_open_can_be_left_as_it_is(page_of, alice, crm, delivered, compare):
    client = page_of(alice)
    client.post(f"{page(crm)}/rules", {"repairs": "ask"})
    [record] = crm.account.live("media")
    record.values["title"] = "Outra coisa"
    compare(crm)
    client.post(f"{page(crm)}/repair", {"do": "leave", "all": "1"})
    assert "1 file stays as it is." in text(client.get(page(crm)))
    assert Discrepancy.objects.get().settlement == "left"


def test_looking_now_is_a_job_and_not_the_page(page_of, alice, crm, delivered):
    page_of(alice).post(f"{page(crm)}/run")
    job = ProcrastinateJob.objects.get(task_name="acervo:reconcile")
    assert job.args == {"connection": str(crm.pk), "by": by_member(alice)}


def test_a_paused_crm_is_not_looked_at(page_of, alice, crm, delivered):
    Connection.objects.get(pk=crm.pk).pause(by="test", reason="by_hand", at=clock.now())
    client = page_of(alice)
    client.post(f"{page(crm)}/run")
    assert "Simulated CRM is paused. Resume it first." in text(client.get(page(crm)))


def test_rules_that_do_not_exist_are_refused(page_of, alice, crm):
    client = page_of(alice)
    client.post(f"{page(crm)}/rules", {"repairs": "never"})
    assert "Choose one of the answers that are offered." in text(client.get(page(crm)))
    assert Connection.objects.get(pk=crm.pk).repairs == "always"


def test_whoever_only_watches_changes_nothing(page_of, workspace, crm, delivered, compare):
    auditor = make_member(workspace, "Ana", "auditor")
    compare(crm)
    shown = text(page_of(auditor).get(page(crm)))
    assert "In place" in shown
    assert "Look now" not in shown
