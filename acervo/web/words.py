"""Every code the product keeps on rows, in words for people: what happened, what is safe, what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from acervo.crms.contract import CrmErrorKind
from acervo.models import Kind, OnRevoke, RenditionKind, Role, SendingPurpose
from acervo.models.media import TAKEN_BACK
from acervo.providers.contract import Outcome

Words = str | Promise


@dataclass(frozen=True, slots=True)
class Status:
    """A word with an icon and a tone: never colour alone."""

    label: Words
    tone: str
    """ok, warn, bad, info, or empty for neutral."""
    icon: str


# ── files ──

KINDS: Final[Mapping[str, Words]] = {
    Kind.VOICE: _("Voice note"),
    Kind.AUDIO: _("Audio"),
    Kind.VIDEO: _("Video"),
    Kind.IMAGE: _("Image"),
    Kind.STICKER: _("Sticker"),
    Kind.DOCUMENT: _("Document"),
}
KINDS_FROM: Final[Mapping[str, Words]] = {
    Kind.VOICE: _("Voice note from %(name)s"),
    Kind.AUDIO: _("Audio from %(name)s"),
    Kind.VIDEO: _("Video from %(name)s"),
    Kind.IMAGE: _("Image from %(name)s"),
    Kind.STICKER: _("Sticker from %(name)s"),
    Kind.DOCUMENT: _("Document from %(name)s"),
}
KINDS_TO: Final[Mapping[str, Words]] = {
    Kind.VOICE: _("Voice note sent to %(name)s"),
    Kind.AUDIO: _("Audio sent to %(name)s"),
    Kind.VIDEO: _("Video sent to %(name)s"),
    Kind.IMAGE: _("Image sent to %(name)s"),
    Kind.STICKER: _("Sticker sent to %(name)s"),
    Kind.DOCUMENT: _("Document sent to %(name)s"),
}
KIND_ICONS: Final[Mapping[str, str]] = {
    Kind.VOICE: "mic",
    Kind.AUDIO: "headphones",
    Kind.VIDEO: "video",
    Kind.IMAGE: "image",
    Kind.STICKER: "sticker",
    Kind.DOCUMENT: "file-text",
}
ANNOUNCED_AS: Final[Mapping[str, Words]] = {
    Kind.VOICE: _("a voice note"),
    Kind.AUDIO: _("an audio file"),
    Kind.VIDEO: _("a video"),
    Kind.IMAGE: _("a picture"),
    Kind.STICKER: _("a sticker"),
    Kind.DOCUMENT: _("a document"),
}
FOUND_TO_BE: Final[Mapping[str, Words]] = {
    "audio": _("an audio file"),
    "video": _("a video"),
    "image": _("a picture"),
    "document": _("a document"),
}
RENDITIONS: Final[Mapping[str, Words]] = {
    RenditionKind.MP3: _("MP3 for listening everywhere"),
    RenditionKind.MP4: _("MP4 for watching everywhere"),
    RenditionKind.POSTER: _("Still picture"),
    RenditionKind.THUMB_96: _("Tiny preview"),
    RenditionKind.THUMB_320: _("Small preview"),
    RenditionKind.THUMB_640: _("Large preview"),
    RenditionKind.ANIMATED: _("Small moving picture"),
    RenditionKind.PAGE: _("Pages as pictures"),
}
UNMADE: Final[Mapping[str, Words]] = {
    "not_smaller": _("Not small enough to be worth keeping"),
    "tool_failed": _("The media tools could not read the file"),
    "too_much": _("Too much for the media tools' limits"),
    "tool_missing": _("A media tool is not installed"),
    "not_needed": _("The file does without it"),
    "locked": _("The document asks for a password"),
}
"""Why a copy is not there."""
FILE_STATES: Final[Mapping[str, Status]] = {
    "ready": Status(_("Kept"), "ok", "circle-check"),
    "preparing": Status(_("Kept, being prepared"), "info", "loader"),
    "waiting": Status(_("On its way"), "", "clock"),
    "retrying": Status(_("Trying again"), "warn", "refresh-cw"),
    "paused": Status(_("Waiting for the number"), "warn", "pause"),
    "lost": Status(_("Lost"), "bad", "circle-x"),
    "scanning": Status(_("Being checked for malware"), "info", "shield-check"),
    "quarantined": Status(_("In quarantine"), "bad", "shield-alert"),
    "hidden": Status(_("Hidden, its sender took it back"), "warn", "lock"),
    "taken_back": Status(_("Taken back and erased"), "", "ban"),
}
TAKEN_BACK_STATUS: Final = Status(_("Taken back by the sender"), "warn", "rotate-ccw")
"""Of a file that stays although its sender took it back."""
CAPTURE_STATES: Final[Mapping[str, Words]] = {
    "kept": _("Kept"),
    "waiting": _("On its way"),
    "lost": _("Lost"),
}

OUTCOMES: Final[Mapping[str, Words]] = {
    Outcome.EXPIRED: _("WhatsApp no longer has this file: its time ended before it could be captured."),
    Outcome.LOST_AT_PROVIDER: _(
        "WhatsApp itself could not get this file from the sender's phone. Ask for it again."
    ),
    Outcome.TOKEN_REVOKED: _(
        "WhatsApp no longer accepts our access. Reconnect the number and capture goes on by itself."
    ),
    Outcome.FORBIDDEN: _(
        "WhatsApp does not allow this access to read files. Check the permissions of the token."
    ),
    Outcome.BLOCKED: _(
        "WhatsApp has blocked this number or its app. See the account's page at the provider."
    ),
    Outcome.RATE_LIMITED: _("WhatsApp asked us to slow down. We try again by ourselves."),
    Outcome.UNAVAILABLE: _("WhatsApp's servers were not available. We try again by ourselves."),
    Outcome.TIMED_OUT: _("WhatsApp's servers took too long to answer. We try again by ourselves."),
    Outcome.URL_DIED: _("The download link ended before we used it. We ask for a new one."),
    Outcome.WRONG_HASH: _(
        "What arrived was not what WhatsApp had announced, so it was thrown away. We fetch it again."
    ),
    Outcome.WRONG_SIZE: _("The file arrived incomplete, so it was thrown away. We fetch it again."),
    Outcome.NOT_MEDIA: _("WhatsApp sent a page instead of the file. We fetch it again."),
    Outcome.TOO_LARGE: _("The file is larger than the limit for its kind, so it was not fetched."),
    Outcome.FORBIDDEN_HOST: _(
        "The download link led outside WhatsApp's own servers, so it was not followed."
    ),
    "number_removed": _("Its number was removed before the file was here, so nobody can fetch it any more."),
    Outcome.UNKNOWN: _(
        "Something we did not expect happened. It is written down, and we try again by ourselves."
    ),
}
LOST: Final[Mapping[str, Words]] = {
    Outcome.EXPIRED: _("Its time at WhatsApp ended"),
    Outcome.LOST_AT_PROVIDER: _("WhatsApp could not get it"),
    Outcome.TOO_LARGE: _("Larger than the limit"),
    Outcome.FORBIDDEN: _("WhatsApp did not allow it"),
    "number_removed": _("Its number was removed"),
    Outcome.FORBIDDEN_HOST: _("Its link led astray"),
    TAKEN_BACK: _("Taken back and erased"),
}
"""In a few words, for a card; what is not here is only said to be uncaptured."""
FAMILIES: Final[Mapping[str, Words]] = {
    "error": _("Something went wrong on our side. It is written down for the people who run this archive."),
    "try_later": _("It did not work this time. We try again by ourselves."),
    "needs_person": _("Somebody has to act before this can go on."),
    "gone": _("This can no longer be had."),
    "refused": _("What was sent cannot be accepted."),
    "forged": _("The signature did not fit, so nothing was accepted."),
    "outside_window": _(
        "More than 24 hours have passed since the contact wrote: WhatsApp allows only an approved template now."
    ),
    "not_sent": _("WhatsApp did not take this message. Sending the same again changes nothing."),
    "address_too_long": _(
        "Meta takes webhook addresses of up to 200 characters. Give this installation a shorter base URL."
    ),
    "unreadable": _("It was not what this provider sends."),
    "storage_away": _("The storage did not answer. We try again by ourselves."),
    "object_damaged": _("The stored bytes are not those that were written, so they are not shown."),
    "object_missing": _(
        "The stored bytes are no longer where they were put. Somebody must look at the storage."
    ),
    "storage_unusable": _("The storage refuses us. Somebody must look at its settings."),
    TAKEN_BACK: _(
        "Its sender took it back, and this number erases such files. That there was one stays written down."
    ),
    "erased": _("This file was erased."),
    "sealed_elsewhere": _("This was sealed with another key. Somebody must give back the old one."),
    "journal_away": _("The database did not answer. We try again by ourselves."),
    "tool_failed": _("The media tools could not read this file. It is kept as it came."),
    "tool_timed_out": _("The media tools took too long with this file. It is kept as it came."),
    "tool_missing": _("A media tool is not installed. The files are kept; somebody must install it."),
    "not_isolated": _(
        "Media tools may only run isolated, and this machine does not offer it. The files are kept."
    ),
    "limit_stands": _(
        "The limit of this file cannot be lifted: it is already here, WhatsApp no longer has it, or it is too large for any limit."
    ),
    "scanner_away": _(
        "The malware scanner does not answer. The file is kept, and opens once the scanner is back and has seen it."
    ),
    "scanner_off": _(
        "The malware scanner is switched off, but this file is held for it. Somebody must switch it on again, or let the file through."
    ),
    "scan_failed": _("The malware scanner could not finish with this file. We ask it again by ourselves."),
    "scan_too_large": _(
        "The malware scanner does not take a file of this size. Somebody must raise StreamMaxLength in its settings; then it is checked by itself."
    ),
    "nothing_to_decide": _("There is nothing left to decide about this file: somebody was faster."),
    "reason_missing": _("Say why in a few words: decisions are written down with their reason."),
    "unknown_word": _("The library's address has no such word."),
    "unknown_copy": _("There are no copies of this kind."),
    "nothing_to_remake": _("No kept file fits, so there is nothing to make anew."),
    "nothing_to_backfill": _("Every file of this choice is promised to this CRM already."),
    "backfill_runs": _("Earlier files are being written to this CRM already. One run at a time."),
    "backfill_over": _("This run is over. Start another one."),
    "day_missing": _("Choose the day to begin with."),
    "remake_over": _("This run is over. Start another one."),
    "changed_meanwhile": _("Somebody changed these settings meanwhile, so nothing was saved."),
    "limit_too_high": _("A workspace cannot allow larger files than its installation does."),
    "not_an_export": _("This text is no chat export of WhatsApp."),
    "archive_without_chat": _(
        "There is no chat in this file. Export it in WhatsApp: open the chat, then “Export chat”; send the zip as it is."
    ),
    "hostile_archive": _("This archive is not safe to open, so nothing was taken from it."),
    "archive_unsafe_name": _(
        "This archive has files in folders or outside of itself, which WhatsApp never writes. Nothing was taken from it."
    ),
    "archive_link": _(
        "This archive holds a link instead of a file, which WhatsApp never writes. Nothing was taken from it."
    ),
    "archive_encrypted": _("This archive is encrypted. Export the chat again, without a password."),
    "archive_bomb": _("This archive unpacks to far more than a chat holds. Nothing was taken from it."),
    "archive_too_many": _("This archive holds more files than any chat export. Nothing was taken from it."),
    "archive_doubled_name": _(
        "Two files of this archive have one name, so nobody can tell which is meant. Nothing was taken from it."
    ),
    "archive_damaged": _(
        "This archive is damaged or not complete. Export the chat, or copy it here, once more."
    ),
    "archive_text_too_long": _("The text of this chat is longer than any export of WhatsApp."),
    "too_many_authors": _("More people write in this chat than WhatsApp lets into a group."),
    "already_imported": _(
        "This very export is here already; nothing of it would be new. To bring it in anew, take that import out first."
    ),
    "contact_missing": _(
        "Say whose chat it is: the contact's name, or the phone number with its country code."
    ),
    "wrong_phone": _("Write the phone number with plus sign and country code."),
    "several_contacts": _("Several contacts have this name. Say the phone number, too."),
    "date_order_missing": _("Say which way the dates of this chat are to be read."),
    "us_missing": _("Say which of the people in this chat is your company."),
    "unknown_zone": _("There is no such time zone."),
    "import_not_waiting": _("This import was started or taken back meanwhile."),
    "archive_away": _(
        "The archive of this import is not here: run the command again on the server, with the file it read before."
    ),
    "text_missing": _("Write something first."),
    "text_too_long": _("This is too long for WhatsApp: 1,024 characters, and 20 on a button."),
    "template_incomplete": _(
        "A template needs its name and its language, exactly as the provider lists them."
    ),
    "number_paused": _("This number is paused, so nothing is sent through it."),
    "number_removed": _("This number was removed, so nothing is sent through it."),
    "already_told": _("The contact was already told about this file. Send that message again, if you must."),
    "sending_over": _("This message has left already, or somebody else was faster."),
    "still_being_written": _("The CRM is just being written to. We go on by ourselves."),
    "unknown_choice": _("Choose one of the answers that are offered."),
    "tag_unusable": _("A tag has 1 to 40 characters on one line, without a semicolon."),
    "too_many_tags": _("A file can have 30 tags at most. Take one off first."),
    "token_name_missing": _("Say what the token is for: a name tells it from others."),
    "token_scope_missing": _("Choose at least one thing the token may do."),
    "token_role_too_wide": _("A token cannot have more rights than whoever makes it."),
    "token_end_unknown": _("Choose one of the times that are offered."),
    "too_many_tokens": _("You have 50 tokens in use already. Take back those that nobody needs."),
    "record_of_another": _("This record belongs to another contact of yours already."),
    "record_not_offered": _("This record was not among those the CRM offered. Choose again."),
    "hook_address": _(
        "This is no address that can be called. Write all of it, such as https://example.com/hooks."
    ),
    "hook_address_private": _(
        "The address must begin with https and be on the public internet. One in your own network must be named by whoever runs this archive, in ACERVO_ALLOW_PRIVATE_HOSTS."
    ),
    "hook_events": _("Choose at least one event."),
    "hook_ended": _("This hook has ended. Make a new one."),
    "hook_secret": _("A signing secret begins with whsec_ and holds 24 to 64 bytes."),
    "too_many_hooks": _("This workspace has as many hooks as it may have. Remove some first."),
    "decided_meanwhile": _("Somebody else decided about this contact a moment ago."),
    "being_decided": _(
        "Somebody else is deciding about this contact, or one of their files is just being written. Try again in a moment."
    ),
    "contact_gone": _("This contact is no longer in the CRM. Choose another one."),
    "no_new_contact": _(
        "The CRM takes no second contact with this number as its key. Choose the one that has it, or take the key away there first."
    ),
    "not_a_record": _("This is neither the address of a contact nor its id."),
    "being_taken_out": _(
        "What was written to the wrong contact is just leaving the CRM. Try again in a moment."
    ),
    "not_for_crms": _("This file cannot be written to a CRM now: it is not ready, or nobody may open it."),
    "kept_back": _("Such files do not go to this CRM. “What goes where” in its settings says which do."),
    "related_not_offered": _(
        "This is not among the deals and tickets of the contact any more. Choose again."
    ),
    "already_tied": _("The file is on another one of this kind already. Take it off there first."),
    "no_contact_yet": _(
        "The contact in the CRM is not known yet. Once the file stands there, it can be linked."
    ),
}

# ── what we send ──

SENDING_STATES: Final[Mapping[str, Status]] = {
    "queued": Status(_("On its way out"), "", "clock"),
    "delayed": Status(_("Put off for a moment"), "warn", "refresh-cw"),
    "sending": Status(_("Being sent"), "info", "loader"),
    "accepted": Status(_("Taken by WhatsApp"), "info", "check"),
    "sent": Status(pgettext_lazy("message", "Sent"), "info", "check"),
    "delivered": Status(pgettext_lazy("message", "Arrived"), "ok", "circle-check"),
    "read": Status(pgettext_lazy("message", "Read"), "ok", "eye"),
    "failed": Status(_("Not sent"), "bad", "circle-x"),
    "unknown": Status(_("Perhaps sent"), "warn", "circle-question-mark"),
}
SENDING_UNKNOWN: Final[Words] = _(
    "It left, and WhatsApp did not say whether it took it. Look into the chat before you send it again."
)
SENDING_TROUBLES: Final[Mapping[str, Words]] = {
    "cancelled": _("Somebody stopped it before it left."),
    "not_delivered": _("WhatsApp took it and could not deliver it."),
    "text_length": _("WhatsApp does not take a text of this length."),
    "no_address": _("Neither a number nor an account of this contact is known."),
    Outcome.RATE_LIMITED: _("WhatsApp asked us to slow down. It leaves by itself in a moment."),
    Outcome.UNAVAILABLE: _("WhatsApp could not be reached. It leaves by itself in a moment."),
    Outcome.TOKEN_REVOKED: _(
        "WhatsApp no longer accepts our access. Reconnect the number, then send it again."
    ),
    Outcome.FORBIDDEN: _(
        "WhatsApp does not let this access send messages. Check the permissions of the token."
    ),
    Outcome.BLOCKED: _("WhatsApp has blocked this number. See the account's page at the provider."),
}
SENDING_PURPOSES: Final[Mapping[str, Words]] = {
    SendingPurpose.BY_HAND: _("Message"),
    SendingPurpose.FILE_NOT_TAKEN: _("Told that a file could not be kept"),
    SendingPurpose.CONSENT_ASKED: _("Asked for consent"),
}
TEMPLATE_OPTIONS: Final[Mapping[str, Words]] = {
    "namespace": _("Namespace of the template"),
    "version": _("Version of the template; empty: the newest"),
    "keys": _("Names of its placeholders, in order, with commas"),
}

# ── the CRM ──

CRM_REFUSALS: Final[Mapping[str, Words]] = {
    CrmErrorKind.AUTH_EXPIRED: _("The access to the CRM expired and is being renewed."),
    CrmErrorKind.AUTH_REVOKED: _(
        "The CRM no longer accepts our access. Files are kept and go out by themselves once you reconnect."
    ),
    CrmErrorKind.FORBIDDEN: _(
        "The CRM does not allow this access to write here. Give it the missing permission, then send again."
    ),
    CrmErrorKind.NOT_FOUND: _("The record is no longer in the CRM. Send again to make a new one."),
    CrmErrorKind.CONFLICT: _("Somebody changed the same record at the same time. Send again."),
    CrmErrorKind.VALIDATION: _(
        "The CRM did not accept a value. A field there may have been changed by hand."
    ),
    CrmErrorKind.AMBIGUOUS: _("Several records in the CRM have this number. Choose the right one."),
    CrmErrorKind.RATE_LIMITED: _("The CRM asked us to slow down. We try again by ourselves."),
    CrmErrorKind.QUOTA_EXHAUSTED: _("The CRM's daily allowance is used up. We go on when it begins anew."),
    CrmErrorKind.LOCKED: _("The record is locked in the CRM. We try again by ourselves."),
    CrmErrorKind.UNAVAILABLE: _("The CRM is not available. We try again by ourselves."),
    CrmErrorKind.UNKNOWN_OUTCOME: _(
        "The CRM did not say whether it took the file. We look, and send again only if it is missing."
    ),
    CrmErrorKind.UNSUPPORTED: _(
        "This CRM account cannot hold this. A higher plan or another setting there may help."
    ),
}
UPLOAD_TROUBLES: Final[Mapping[str, Words]] = {
    "too_large": _("The file is larger than the CRM takes. Only its link lies there."),
    CrmErrorKind.FORBIDDEN: _(
        "The CRM does not allow this access to put files there. Give it the missing permission, then try again."
    ),
    CrmErrorKind.NOT_FOUND: _("The record that the file hangs on is no longer in the CRM."),
    CrmErrorKind.VALIDATION: _("The CRM did not accept the file."),
    CrmErrorKind.UNSUPPORTED: _("The CRM does not let go of this file. Remove it there by hand."),
    "kept_a_while": _("The CRM may keep it a while longer, such as in its recycle bin."),
}
"""Of the file itself; its link may well be there."""
UPLOAD_STATES: Final[Mapping[str, Status]] = {
    "there": Status(_("Copy there"), "ok", "circle-check"),
    "queued": Status(_("Copy to come"), "", "clock"),
    "trying": Status(_("Copy to come"), "warn", "refresh-cw"),
    "stopped": Status(_("No copy"), "bad", "circle-x"),
    "leaving": Status(_("Copy is leaving"), "", "clock"),
    "stuck": Status(_("Copy still there"), "bad", "circle-x"),
}
DRIFT: Final[Mapping[str, Words]] = {
    "detached": _(
        "Somebody removed this record in the CRM. We do not make it anew unless you ask: send again."
    ),
    "doubled": _("The CRM holds this file more than once. Remove the copies you do not want there."),
    "left_out": _("Somebody decided that this contact's files do not go to this CRM."),
}
DELIVERY_STATES: Final[Mapping[str, Status]] = {
    "delivered": Status(_("Delivered"), "ok", "circle-check"),
    "queued": Status(_("Queued"), "", "clock"),
    "trying": Status(_("Trying"), "warn", "refresh-cw"),
    "stopped": Status(_("Not delivered"), "bad", "circle-x"),
    "choose": Status(_("Choose a record"), "warn", "user-check"),
    "left_out": Status(_("Kept out of the CRM"), "", "ban"),
}
NOT_PROMISED: Final[Mapping[str, Words]] = {
    "earlier": _("It came before this CRM was connected, so it was not written there."),
    "waiting": _("It is written there once it is here and was looked into."),
    "held": _("A file that is held or in quarantine is not written to any CRM."),
    "taken_back": _("Its sender took it back, so no CRM is told of it."),
    "lost": _("It could not be captured, so there is nothing to write."),
    "imported": _("It came with a chat export that stays out of the CRMs."),
}
"""Why a CRM knows nothing of a file."""
VERDICTS: Final[Mapping[str, Words]] = {
    "chosen": _("One of the CRM's contacts was chosen"),
    "new": _("A new contact was made"),
    "left_out": _("Kept out of the CRM"),
}
VERDICT_DONE: Final[Mapping[str, Words]] = {
    "chosen": _("Decided. The files that waited are on their way to %(name)s."),
    "new": _("A new contact was made. The files that waited are on their way to %(name)s."),
    "left_out": _("Decided. This contact's files stay out of %(name)s."),
}
STOPPED: Final[Mapping[str, Words]] = {
    CrmErrorKind.AMBIGUOUS: _("Several contacts"),
    "detached": _("Removed in the CRM"),
    CrmErrorKind.VALIDATION: _("A value was refused"),
    CrmErrorKind.FORBIDDEN: _("No permission"),
    CrmErrorKind.NOT_FOUND: _("Record not found"),
    CrmErrorKind.CONFLICT: _("Changed at the same time"),
    CrmErrorKind.UNSUPPORTED: _("Not in this plan"),
    "left_out": _("Kept out"),
}
"""Why deliveries stopped, for a filter."""
WHAT_TO_DO: Final[Mapping[str, Words]] = {
    CrmErrorKind.AMBIGUOUS: _("Decide who it is"),
    "detached": _("Send it again to make a new record, or decide who it is"),
    CrmErrorKind.VALIDATION: _("Look at the fields in the CRM, then try again"),
    CrmErrorKind.FORBIDDEN: _("Give the access the missing permission, then try again"),
    CrmErrorKind.NOT_FOUND: _("Try again to make a new record"),
    CrmErrorKind.CONFLICT: _("Try again"),
    CrmErrorKind.UNSUPPORTED: _("Another plan or setting of the CRM, then try again"),
    "left_out": _("Take the decision back where it was made"),
}
"""What sets a stopped delivery going, in a few words; what is not here is tried again."""
FAULTS: Final[Mapping[str, Status]] = {
    "drifted": Status(_("Changed in the CRM"), "warn", "pencil"),
    "cleared": Status(_("Emptied in the CRM"), "warn", "circle"),
    "deleted": Status(_("Deleted in the CRM"), "bad", "circle-x"),
    "doubled": Status(_("More than once in the CRM"), "warn", "copy"),
    "closed": Status(_("Its link opens nothing"), "bad", "lock"),
}
SETTLEMENTS: Final[Mapping[str, Words]] = {
    "rewritten": _("Written again"),
    "left": _("Left as it is"),
    "gone": _("As it should be again"),
}
REPAIRS: Final[Mapping[str, tuple[Words, Words]]] = {
    "always": (
        _("Write it again"),
        _("Whatever was changed or emptied in our fields is put right at once."),
    ),
    "emptied": (
        _("Only where it was emptied"),
        _("What somebody wrote instead is shown on this page, and stays until you say."),
    ),
    "ask": (_("Ask"), _("Nothing is written by itself: everything is shown on this page first.")),
}
"""What happens to our fields that somebody changed in the CRM: the choice, and what it means."""
REACH: Final[Mapping[str, Words]] = {
    "ok": _("Our address answered, so the links lead here."),
    "private": _("Our address lies in a private network: the links open only from there."),
    "certificate": _("The certificate of our address is not good, so browsers warn before a link opens."),
    "silent": _("Our address did not answer, so the links opened nothing."),
    "wrong_answer": _("Something else answers at our address, so the links lead astray."),
}
CRM_STATES: Final[Mapping[str, Words]] = {
    "delivered": _("Delivered"),
    "waiting": _("Queued"),
    "stopped": _("Not delivered"),
    "none": _("Not linked"),
}
RECORD_TYPES: Final[Mapping[str, Words]] = {
    "contact": _("Contact"),
    "media": _("Media record"),
    "note": _("Note"),
    "deal": _("Deal"),
    "ticket": _("Ticket"),
    "campaign": _("Campaign"),
}
LINK_REASONS: Final[Mapping[str, Words]] = {
    "matched_phone": _("Found by phone number"),
    "created": _("Created by Acervo"),
    "chosen": _("Chosen by hand"),
    "written": _("Written by Acervo"),
    "moved": _("Moved along with the contact in the CRM"),
    "rule": _("By the connection's rule"),
}

# ── transcripts ──

ENGINES: Final[Mapping[str, Words]] = {
    "openai": _("A server that speaks OpenAI's transcription call"),
    "faster_whisper": _("A Whisper model on this machine"),
    "fake": _("Simulated engine"),
}
TRANSCRIPT_TROUBLES: Final[Mapping[str, Words]] = {
    "engine_away": _("The engine does not answer. We try again by ourselves."),
    "rate_limited": _("The engine asked us to slow down. We try again by ourselves."),
    "unusable_answer": _("The engine answered something that is no transcript."),
    "engine_unusable": _("The engine cannot be used as it is set up."),
    "key_refused": _(
        "The engine does not accept the key. Paste a new one, and what waits goes on by itself."
    ),
    "quota_spent": _(
        "The account at the engine has no credit left. Once it has, resume, and what waits goes on."
    ),
    "no_such_model": _(
        "The engine does not have this model. Correct its name, and what waits goes on by itself."
    ),
    "no_such_service": _(
        "Something answers at this address, and it does not transcribe. Correct the address, and what waits goes on by itself."
    ),
    "private_address": _(
        "The engine's address is in a private network. Whoever runs this archive must name it in ACERVO_ALLOW_PRIVATE_HOSTS."
    ),
    "engine_missing": _("The engine is not installed. On the server, run: pip install 'acervo[whisper]'"),
    "sound_too_large": _("The engine does not take a recording of this size."),
    "sound_refused": _("The engine could not read this recording."),
    "nothing_to_hear": _("This file has no sound that could be transcribed."),
    "no_consent": _("The contact did not agree to transcripts, so nobody listened."),
    "not_configured": _("No engine is set up to transcribe."),
    "tool_failed": _("The media tools found no sound in this file."),
    "tool_timed_out": _("The media tools took too long with this recording."),
    "error": _("Something went wrong on our side. It is written down for the people who run this archive."),
}

# ── connections ──

CONNECTION_STATES: Final[Mapping[str, Status]] = {
    "live": Status(_("Normal"), "ok", "circle-check"),
    "waiting": Status(_("Nothing heard yet"), "", "clock"),
    "resting": Status(_("Resting"), "warn", "timer"),
    "paused": Status(_("Paused"), "bad", "pause"),
    "removed": Status(_("Removed"), "", "ban"),
}
WORRYING: Final[Mapping[str, Status]] = {
    "BAD": Status(_("Needs you"), "bad", "circle-alert"),
    "WARNING": Status(pgettext_lazy("severity", "Warning"), "warn", "triangle-alert"),
}
"""Instead of its state, where something about a connection is not as it should be; by weight."""
BY_HAND: Final[Words] = _("Paused by hand.")
BEING_SET_UP: Final[Words] = _("It is being set up: nothing is written there yet.")

ON_REVOKE: Final[Mapping[str, tuple[Words, Words]]] = {
    OnRevoke.KEEP: (
        _("Keep the file"),
        _("It stays as it is and says that its sender took it back."),
    ),
    OnRevoke.HIDE: (
        _("Hide the file"),
        _("Only the data-protection officer and administrators still see it. It leaves the CRM."),
    ),
    OnRevoke.DELETE: (
        _("Delete the file"),
        _("Its bytes, copies, transcript and CRM record are erased. That there was one stays written down."),
    ),
}
"""What happens to files whose sender takes them back: the choice, and what it means."""

SECRETS: Final[Mapping[str, Words]] = {
    "token": _("Access token"),
    "secret": _("Client secret or API token"),
    "app_secret": _("App secret"),
    "signing_secret": _("Signing secret"),
    "client_id": _("Client ID"),
    "client_secret": _("Client secret"),
    "refresh_token": _("Refresh token"),
}
"""Of CRMs, and of providers no page offers; the others are in `guidance`."""

# ── copies made anew ──

REMAKE_STATES: Final[Mapping[str, Status]] = {
    "running": Status(_("Running"), "info", "loader"),
    "paused": Status(_("Paused"), "warn", "pause"),
    "finished": Status(_("Done"), "ok", "circle-check"),
    "cancelled": Status(_("Cancelled"), "", "ban"),
}

# ── chats brought in ──

IMPORT_STATES: Final[Mapping[str, Status]] = {
    "waiting": Status(_("Waiting for your word"), "warn", "clock"),
    "running": Status(_("Being brought in"), "info", "loader"),
    "stopped": Status(_("Stopped"), "bad", "triangle-alert"),
    "finished": Status(_("Brought in"), "ok", "circle-check"),
    "undoing": Status(_("Being taken out"), "info", "loader"),
    "undone": Status(_("Taken out"), "", "ban"),
}
MESSAGE_TYPES: Final[Mapping[str, Words]] = {"deleted": _("Taken back by who sent it")}
"""Of messages without a text of their own."""
DATE_ORDERS: Final[Mapping[str, Words]] = {
    "dmy": _("Day first"),
    "mdy": _("Month first"),
    "ymd": _("Year first"),
}
DATE_RULES: Final[Mapping[str, Words]] = {
    "year": _("The year stands first."),
    "over_twelve": _("A number above twelve cannot be a month."),
    "falls": _("The other number never falls within a year, so it is the month."),
    "future": _("Read the other way, the chat would lie in the future."),
    "language": _("The phone's language writes the day first."),
    "guess": _("Nothing in the file tells."),
}
"""How the order of day and month was found out."""

# ── people of ours ──

ROLES: Final[Mapping[str, Words]] = {role.value: role.label for role in Role}

# ── the audit ──


@dataclass(frozen=True, slots=True)
class Happening:
    """How an audit entry reads in a history."""

    sentence: Words
    icon: str
    tone: str = ""


ACTIONS: Final[Mapping[str, Happening]] = {
    "file.kept": Happening(_("Captured, proven and sealed"), "hard-drive", "ok"),
    "file.lost": Happening(_("Could not be captured"), "circle-x", "bad"),
    "file.retried": Happening(_("Capture asked for again"), "refresh-cw", "info"),
    "file.played": Happening(_("Played"), "play", "info"),
    "file.opened": Happening(_("Opened"), "eye", "info"),
    "file.downloaded": Happening(_("Downloaded"), "download", "info"),
    "file.heard": Happening(_("Heard"), "headphones", "info"),
    "file.watched": Happening(_("Watched"), "video", "info"),
    "file.tagged": Happening(_("Tagged"), "tag", "info"),
    "file.untagged": Happening(_("A tag was taken off"), "tag"),
    "file.link_given": Happening(_("A short link to the file was given to a program"), "link-2", "info"),
    "file.limit_lifted": Happening(_("Fetched by hand, over its limit"), "cloud-download", "warn"),
    "file.quarantined": Happening(_("Malware found, put in quarantine"), "shield-alert", "bad"),
    "file.released": Happening(_("Released from quarantine"), "shield-check", "warn"),
    "file.left_in_quarantine": Happening(_("Looked at, and left in quarantine"), "shield-alert", "info"),
    "file.scan_asked": Happening(_("A check for malware was asked for again"), "refresh-cw", "info"),
    "file.scan_waived": Happening(_("Let through without a check for malware"), "shield-alert", "warn"),
    "workspace.scanned": Happening(_("Kept files were checked for malware"), "shield-check", "info"),
    "message.revoked": Happening(_("Taken back by the sender"), "circle-x", "warn"),
    "message.edited": Happening(_("Changed by the sender"), "info"),
    "file.delivered": Happening(_("Delivered to the CRM"), "circle-check", "ok"),
    "delivery.refused": Happening(
        _("The CRM did not take it, another try follows"), "triangle-alert", "warn"
    ),
    "delivery.stopped": Happening(_("Delivery stopped"), "circle-x", "bad"),
    "delivery.renewed": Happening(_("Changed in the CRM, so it is written again"), "refresh-cw", "info"),
    "delivery.doubled": Happening(_("Found more than once in the CRM"), "copy", "warn"),
    "delivery.retried": Happening(_("Delivery asked for again"), "refresh-cw", "info"),
    "delivery.record_chosen": Happening(_("Whose record it is in the CRM was decided"), "user-check", "ok"),
    "delivery.left_out": Happening(_("Kept out of the CRM"), "ban", "warn"),
    "delivery.promised": Happening(_("Somebody wanted it written to the CRM"), "send", "info"),
    "delivery.drifted": Happening(_("Changed in the CRM, and left so for now"), "pencil", "warn"),
    "delivery.left": Happening(_("What stands in the CRM may stay"), "check", "info"),
    "file.tied": Happening(_("Linked to a deal, a ticket or a campaign"), "link-2", "ok"),
    "file.untie_asked": Happening(_("Somebody wanted it off a deal, a ticket or a campaign"), "x", "info"),
    "file.untied": Happening(_("Taken off a deal, a ticket or a campaign"), "x", "info"),
    "person.decided": Happening(_("Who this is in the CRM was decided"), "user-check", "ok"),
    "person.decision_undone": Happening(_("A decision about a contact was taken back"), "rotate-ccw", "warn"),
    "connection.ties_changed": Happening(
        _("What files are linked to by themselves was changed"), "settings", "info"
    ),
    "connection.repairs_changed": Happening(
        _("What happens to changed fields was changed"), "settings", "info"
    ),
    "connection.made": Happening(_("Connected"), "plug", "ok"),
    "connection.fields_ensured": Happening(_("Our fields in the CRM were checked and made"), "check", "ok"),
    "connection.fields_asked": Happening(_("Our fields may be made in the CRM"), "check", "info"),
    "connection.set_up": Happening(_("Set up: files go to the CRM from now on"), "play", "ok"),
    "mapping.changed": Happening(_("What goes to the CRM, and where, was changed"), "workflow", "info"),
    "file.uploaded": Happening(_("Copied into the CRM"), "copy", "ok"),
    "file.upload_removed": Happening(_("Copy taken out of the CRM"), "x", "info"),
    "file.upload_left": Happening(_("The CRM keeps its copy"), "circle-x", "bad"),
    "upload.refused": Happening(_("The CRM did not take the copy yet"), "refresh-cw", "warn"),
    "upload.stopped": Happening(_("No copy in the CRM"), "circle-x", "bad"),
    "connection.uploads_asked": Happening(_("Earlier files are copied into the CRM"), "copy", "info"),
    "connection.uploads_retried": Happening(_("Copies are tried again"), "refresh-cw", "info"),
    "connection.upload_removal_asked": Happening(_("All copies are taken out of the CRM"), "x", "info"),
    "mapping.rewritten": Happening(_("Files are written to the CRM anew"), "refresh-cw", "info"),
    "connection.backfilled": Happening(_("Earlier files were queued for the CRM"), "clock"),
    "backfill.started": Happening(_("Writing earlier files to a CRM was started"), "send", "info"),
    "backfill.paused": Happening(_("Writing earlier files to a CRM was paused"), "pause", "warn"),
    "backfill.resumed": Happening(_("Writing earlier files to a CRM goes on"), "play", "info"),
    "backfill.cancelled": Happening(_("Writing earlier files to a CRM was ended"), "ban"),
    "backfill.finished": Happening(_("Earlier files were written to a CRM"), "circle-check", "ok"),
    "connection.checked": Happening(_("Asked whether it is well"), "activity", "info"),
    "connection.probed": Happening(_("The way in was tried with a test webhook"), "webhook", "info"),
    "connection.paused": Happening(_("Paused"), "pause", "warn"),
    "connection.resumed": Happening(_("Resumed"), "play", "ok"),
    "connection.reconnected": Happening(_("Reconnected"), "plug", "ok"),
    "connection.registered": Happening(_("Our address was told to the provider"), "plug", "ok"),
    "connection.unregistered": Happening(_("The provider was told to knock here no more"), "plug", "warn"),
    "connection.changed": Happening(_("Changed"), "pencil", "info"),
    "connection.privacy_set": Happening(_("Why its files are kept was decided"), "shield-check", "info"),
    "connection.own_secrets_renewed": Happening(_("Secrets of our own were made anew"), "lock", "info"),
    "connection.previous_ended": Happening(_("The old secrets ended"), "lock", "info"),
    "file.hidden": Happening(_("Hidden, because its sender took it back"), "lock", "warn"),
    "file.erase_asked": Happening(_("To be erased, because its sender took it back"), "ban", "warn"),
    "file.erased": Happening(_("Erased, with its copies and its transcript"), "ban", "bad"),
    "file.removed_from_crm": Happening(_("Removed from the CRM"), "ban"),
    "file.left_in_crm": Happening(_("The CRM did not remove its record of it"), "triangle-alert", "bad"),
    "file.forgotten": Happening(_("The provider deleted its own copy"), "ban"),
    "file.fetched_again": Happening(
        _("It had arrived damaged; a second try brought a better copy"), "refresh-cw", "ok"
    ),
    "answer.asked": Happening(_("A message to the contact was written"), "send"),
    "answer.sent": Happening(_("A message to the contact was taken by WhatsApp"), "send", "ok"),
    "answer.failed": Happening(_("A message to the contact was not sent"), "circle-x", "bad"),
    "answer.unknown": Happening(
        _("Nobody knows whether a message reached WhatsApp"), "circle-question-mark", "warn"
    ),
    "answer.cancelled": Happening(_("A message was stopped before it left"), "ban"),
    "answers.changed": Happening(_("What is said by itself was changed"), "settings", "info"),
    "consent.given": Happening(_("The contact agreed"), "user-check", "ok"),
    "consent.refused": Happening(_("The contact did not agree"), "ban", "warn"),
    "connection.forgets_changed": Happening(
        _("Whether the provider's copies are deleted was changed"), "settings", "info"
    ),
    "connection.on_revoke_changed": Happening(
        _("What happens to files that are taken back was changed"), "settings", "info"
    ),
    "connection.removed": Happening(_("Removed"), "ban", "bad"),
    "setup.begun": Happening(_("Connecting a number was begun"), "plug", "info"),
    "setup.provider_changed": Happening(_("Another provider was chosen"), "plug", "info"),
    "setup.webhook_settled": Happening(_("The webhook was set"), "webhook", "info"),
    "setup.tested": Happening(_("A first file was received"), "circle-check", "ok"),
    "setup.test_skipped": Happening(_("The test was skipped"), "skip-forward", "warn"),
    "setup.finished": Happening(_("Connecting a number was finished"), "circle-check", "ok"),
    "setup.dropped": Happening(_("Connecting a number was given up"), "ban"),
    "setup.step_sent": Happening(_("A step was sent to somebody else"), "send", "info"),
    "setup.link_used": Happening(_("Somebody else did a step"), "user-check", "info"),
    "setup.link_revoked": Happening(_("A link for a step was taken back"), "ban", "info"),
    "embed.turned_on": Happening(_("The panel in the CRM was turned on"), "layout-grid", "ok"),
    "embed.turned_off": Happening(_("The panel in the CRM was turned off"), "layout-grid", "warn"),
    "embed.changed": Happening(_("Who may open the panel in the CRM was changed"), "shield-check", "info"),
    "embed.key_made": Happening(_("A key for the panel in the CRM was made"), "lock", "info"),
    "embed.key_revoked": Happening(_("A key for the panel in the CRM was revoked"), "lock", "warn"),
    "embed.opened": Happening(_("The panel in the CRM was opened"), "eye", "info"),
    "webhook.confirmed": Happening(_("The provider confirmed our address"), "webhook", "ok"),
    "webhook.refused": Happening(_("A forged webhook was refused"), "shield-alert", "bad"),
    "receipt.replayed": Happening(_("Receipts were read again"), "refresh-cw", "info"),
    "transcript.asked": Happening(_("A transcript was asked for"), "captions", "info"),
    "transcript.made": Happening(_("Transcribed"), "captions", "ok"),
    "transcript.stopped": Happening(_("Could not be transcribed"), "captions", "warn"),
    "transcript.corrected": Happening(_("The transcript was corrected"), "pencil", "info"),
    "transcript.downloaded": Happening(_("The transcript was downloaded"), "download", "info"),
    "transcriber.configured": Happening(_("The transcription engine was set up"), "captions", "ok"),
    "transcriber.paused": Happening(_("The transcription engine was paused"), "pause", "warn"),
    "transcriber.resumed": Happening(_("The transcription engine was resumed"), "play", "ok"),
    "transcriber.removed": Happening(_("Transcription was switched off"), "ban", "warn"),
    "transcriber.backfilled": Happening(_("Earlier files were queued for transcription"), "clock"),
    "account.event": Happening(_("The provider reported something about the account"), "info"),
    "account.seen": Happening(_("Reports of the provider were looked at"), "eye", "info"),
    "person.linked": Happening(_("A CRM contact was chosen for this person"), "user-check", "ok"),
    "person.merged": Happening(_("Two identities turned out to be one person"), "users"),
    "policy.changed": Happening(_("What is made of files was changed"), "settings", "info"),
    "limit.changed": Happening(_("Size limits were changed"), "settings", "info"),
    "remake.started": Happening(_("Making copies anew was started"), "refresh-cw", "info"),
    "remake.paused": Happening(_("Making copies anew was paused"), "pause", "warn"),
    "remake.resumed": Happening(_("Making copies anew goes on"), "play", "info"),
    "remake.cancelled": Happening(_("Making copies anew was cancelled"), "ban"),
    "remake.finished": Happening(_("Copies were made anew"), "circle-check", "ok"),
    "import.asked": Happening(_("A chat export was looked into"), "inbox"),
    "import.started": Happening(_("A chat export is being brought in"), "loader", "info"),
    "import.resumed": Happening(_("Bringing in a chat export goes on"), "play", "info"),
    "import.stopped": Happening(_("Bringing in a chat export stopped"), "triangle-alert", "warn"),
    "import.finished": Happening(_("A chat export was brought in"), "circle-check", "ok"),
    "import.undo_asked": Happening(_("Somebody wants a chat export taken out again"), "ban", "warn"),
    "import.undone": Happening(_("A chat export was taken out again"), "ban"),
    "file.imported": Happening(_("Brought in from a chat export and sealed"), "hard-drive", "ok"),
    "file.removed": Happening(_("Removed together with the chat export it came from"), "ban"),
    "api_token.made": Happening(_("An API token was made"), "key-round", "warn"),
    "api_token.revoked": Happening(_("An API token was taken back"), "ban"),
    "subscription.made": Happening(_("A hook was added"), "webhook", "ok"),
    "subscription.changed": Happening(_("A hook was changed"), "pencil", "info"),
    "subscription.paused": Happening(_("A hook was paused"), "pause", "warn"),
    "subscription.resumed": Happening(_("A hook was resumed"), "play", "ok"),
    "subscription.disabled": Happening(
        _("A hook was switched off, because it took nothing for days"), "circle-alert", "bad"
    ),
    "subscription.ended": Happening(_("A hook ended"), "ban"),
    "subscription.secret_renewed": Happening(_("The secret of a hook was made anew"), "lock", "info"),
    "subscription.sampled": Happening(_("A sample was sent to a hook"), "send", "info"),
    "subscription.replayed": Happening(_("Events were told to a hook again"), "refresh-cw", "info"),
    "member.made": Happening(_("Member added"), "user-check", "ok"),
    "data_key.destroyed": Happening(_("Key destroyed: what it sealed is erased"), "lock", "bad"),
}
SYSTEM_ACTORS: Final[Mapping[str, Words]] = {
    "system": _("Acervo"),
    "command": _("Command line"),
    "provider": _("WhatsApp"),
    "link": _("Somebody with a link for one step"),
    "token": _("A program with an API token"),
    "member": _("A former member"),
    "agent": _("Somebody in the CRM"),
}


def refusal(code: str | None) -> Words:
    """Why a capture, a connection or a delivery is not well, whoever said it."""
    if not code:
        return ""
    known = OUTCOMES.get(code) or CRM_REFUSALS.get(code) or FAMILIES.get(code)
    return known or OUTCOMES[Outcome.UNKNOWN]


def sending_trouble(code: str | None, state: str) -> Words:
    """Why a message of ours is not there, or not yet."""
    if state == "unknown":
        return SENDING_UNKNOWN
    return (SENDING_TROUBLES.get(code) or refusal(code)) if code else ""


def lost(code: str | None) -> Words:
    return LOST.get(code or "", _("Could not be captured"))


def crm_refusal(code: str | None) -> Words:
    """Why a delivery is not done; the same code may mean something else for a capture."""
    return (CRM_REFUSALS.get(code) or DRIFT.get(code) or refusal(code)) if code else ""


def blind(code: str | None) -> Words:
    """Why a pass over a CRM did not look, or not to its end."""
    if code == CrmErrorKind.UNSUPPORTED:
        return _("This system does not say what it holds, so it is taken at its word: nothing was compared.")
    return crm_refusal(code)


def upload_refusal(code: str | None) -> Words:
    """Why the file itself did not get in, or out."""
    return (UPLOAD_TROUBLES.get(code) or crm_refusal(code)) if code else ""


def untie_refusal(code: str) -> Words:
    """Why a CRM does not let go of a file on a deal or a ticket."""
    if code == CrmErrorKind.UNSUPPORTED:
        return _("This CRM cannot take it off again by itself. Remove it there by hand.")
    return crm_refusal(code)


def transcript_trouble(code: str | None) -> Words:
    """Why a file has no transcript, or why the engine is paused."""
    if code == "by_hand":
        return BY_HAND
    return (TRANSCRIPT_TROUBLES.get(code) or refusal(code)) if code else ""


def pause_reason(code: str | None, *, is_crm: bool) -> Words:
    if code in ("by_hand", "being_set_up"):
        return BY_HAND if code == "by_hand" else BEING_SET_UP
    return crm_refusal(code) if is_crm else refusal(code)


def happening(action: str) -> Happening:
    """Never missing: an action without words (a test forbids it) shows its code."""
    return ACTIONS.get(action) or Happening(action, "info")


def heading(kind: str, name: str, *, is_outbound: bool) -> str:
    """ "Voice note from Marina Duarte", as one sentence of each language."""
    sentence: Any = (KINDS_TO if is_outbound else KINDS_FROM)[kind]
    return str(sentence % {"name": name})
