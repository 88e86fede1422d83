"""What a person chose holds for what is written, for what is compared, and for what goes at all."""

from typing import ClassVar

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from acervo.base import clock
from acervo.crms.fake.adapter import FakeCrm
from acervo.crms.mapping import Rule, Target
from acervo.deliver import account, backfill, mapping, outbox, withdrawal
from acervo.deliver.mapping import Rules, Switch
from acervo.deliver.outbox import KeptBack
from acervo.models import Delivery, MappingVersion, MediaFile
from acervo.organise import address
from tests.deliver.conftest import opener

MOVED = Rules(
    media={"kind": Rule(Target("what_it_is", "text"), form="words", detail="pt"), "chat": Rule(is_off=True)},
    contact={"last_media_url": Rule(Target("last_link", "text"))},
)


def choose(crm, rules, number=1):
    crm.account.own_fields["media"]["what_it_is"] = "text"
    crm.account.own_fields["contact"]["last_link"] = "text"
    return MappingVersion.objects.create(
        workspace=crm.workspace,
        connection=crm,
        number=number,
        rules=mapping.written(rules),
        reason="a test",
        made_by="test",
    )


def test_rules_come_back_from_their_row_as_they_were(workspace):
    rules = Rules(
        media={"tags": Rule(form="joined", detail=" | "), **MOVED.media},
        contact={"consent": Rule(Target("may", "yes_no", 1), form="yes_no")},
        kinds={"video": Switch("some", "q=defeito"), "sticker": Switch("none")},
    )
    assert mapping.read(mapping.written(rules)) == rules
    assert mapping.written(Rules()) == {"media": {}, "contact": {}, "kinds": {}}


def test_a_file_goes_into_the_fields_that_were_chosen(crm, promised, deliver, person):
    choose(crm, MOVED)
    row = promised(person=person)
    assert deliver(crm).delivered == 1
    [contact], [record] = crm.account.live("contact"), crm.account.live("media")
    assert record.values["what_it_is"] == "Áudio de voz"
    assert not record.values["kind"]
    assert not record.values["chat"]
    assert contact.values["last_link"].endswith(f"/m/{row.media.slug}")
    assert not contact.values["last_media_url"]
    row.refresh_from_db()
    assert row.mapping_version == 1


def test_a_new_mapping_is_nobodys_drift_and_rewrites_nothing_unasked(crm, promised, deliver, compare, person):
    row = promised(person=person)
    deliver(crm)
    choose(crm, MOVED)
    assert compare(crm).intact == 1
    assert mapping.outdated(crm.pk) == 1
    assert not deliver(crm).claimed
    assert outbox.rewrite(crm) == 1
    assert deliver(crm).delivered == 1
    assert mapping.outdated(crm.pk) == 0
    assert compare(crm).intact == 1
    [record] = crm.account.live("media")
    record.values["what_it_is"] = "changed there"
    assert compare(crm).drifted == 1
    row.refresh_from_db()
    assert row.delivered_at is None


def test_a_version_that_only_sends_other_files_makes_nothing_outdated(crm, promised, deliver, person):
    promised(person=person)
    deliver(crm)
    choose(crm, Rules(kinds={"sticker": Switch("none")}))
    assert mapping.outdated(crm.pk) == 0


@pytest.mark.parametrize(
    ("switch", "goes"),
    [
        (Switch("none"), set()),
        (Switch("some", "q=defeito"), {"o defeito da mesa"}),
        (Switch("all"), {"o defeito da mesa", "bom dia"}),
    ],
)
def test_only_files_that_fit_go(crm, prepared, deliver, person, switch, goes):
    choose(crm, Rules(kinds={"video": switch}))
    for caption in ("o defeito da mesa", "bom dia"):
        prepared(kind="video", person=person, caption=caption)
    pks = list(MediaFile.objects.values_list("pk", flat=True))
    outbox.promise(pks, chosen_by=address.found_in)
    promised = Delivery.objects.filter(connection=crm)
    assert set(promised.values_list("media__caption", flat=True)) == goes
    outbox.promise(pks)  # as whoever does not know of switches
    assert promised.count() == 2
    assert deliver(crm, chosen_by=address.found_in).delivered == len(goes)
    assert set(promised.values_list("media__caption", flat=True)) == goes
    assert len(crm.account.live("media")) == len(goes)


def test_what_is_there_already_is_kept_true_whatever_the_switches_say(crm, promised, deliver, person):
    row = promised(kind="video", person=person)
    deliver(crm)
    choose(crm, Rules(kinds={"video": Switch("none")}))
    Delivery.objects.filter(pk=row.pk).update(delivered_at=None, payload_hash=None)
    assert deliver(crm, chosen_by=address.found_in).delivered == 1


def test_a_backfill_counts_and_promises_only_what_goes(crm, prepared, deliver, person):
    choose(crm, Rules(kinds={"video": Switch("some", "q=defeito"), "image": Switch("none")}))
    for kind, caption in (
        ("video", "o defeito"),
        ("video", "bom dia"),
        ("image", "o defeito"),
        ("voice", ""),
    ):
        prepared(kind=kind, person=person, caption=caption)
    assert backfill.look(crm, "", address.found_in).files == 2
    run = backfill.ask(crm, query="", by="test", chosen_by=address.found_in)
    assert backfill.go_on(crm.pk, chosen_by=address.found_in) == 2
    choose(crm, Rules(kinds={"video": Switch("none")}), number=2)
    assert deliver(crm, chosen_by=address.found_in).delivered == 1
    backfill.go_on(crm.pk, chosen_by=address.found_in)
    run.refresh_from_db()
    assert (run.promised, run.written) == (1, 1)
    assert backfill.report(run).taken_up == 0


def test_whoever_writes_a_file_by_hand_that_does_not_go_is_told_so(crm, prepared, person):
    choose(crm, Rules(kinds={"video": Switch("none")}))
    film, note = prepared(kind="video", person=person), prepared(person=person)
    with pytest.raises(KeptBack):
        outbox.promise_to(crm, film, by="test", chosen_by=address.found_in)
    outbox.promise_to(crm, note, by="test", chosen_by=address.found_in)
    assert Delivery.objects.get(connection=crm).media == note
    assert outbox.newest_file(crm, address.found_in) == note


class Watched(FakeCrm):
    """Takes down which fields of theirs it is to empty."""

    asked: ClassVar[list[list[str]]] = []

    async def erase_media(self, media, *, also=()):
        self.asked.append(list(also))
        return await super().erase_media(media, also=also)


def test_a_file_taken_back_is_emptied_from_fields_of_every_version(
    crm, promised, deliver, person, http, monkeypatch
):
    async def here(do, *args, **kwargs):
        return await sync_to_async(do)(*args, **kwargs)

    for module in (account, withdrawal):
        monkeypatch.setattr(module, "in_thread", here)
    choose(crm, MOVED)
    row = promised(person=person)
    deliver(crm)
    choose(crm, Rules(), number=2)
    MediaFile.objects.filter(pk=row.media_id).update(hidden_at=clock.now())
    async_to_sync(withdrawal.withdraw)(row.media_id, http=http, open_connector=opener(crm, Watched))
    assert Watched.asked == [["what_it_is"]]
