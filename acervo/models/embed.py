"""Our panel inside a CRM: who may open it, with which proof, and each time somebody did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from acervo.base import clock, ids
from acervo.base.tokens import digest
from acervo.models.connection import Connection
from acervo.models.member import Member, Role
from acervo.models.sealed import SHA256_HEX
from acervo.models.workspace import Workspace

RESTS_AFTER = timedelta(minutes=10)
"""A panel nobody has open any more is worth nothing after this; an open one renews itself."""
ENDS_AFTER = timedelta(hours=12)
CODE_LIVES = timedelta(seconds=60)


class ShownTo(models.TextChoices):
    """Who sees files in the panel, of those the CRM lets open the record."""

    AGENTS = "agents", "agents"
    MEMBERS = "members", "members"
    """Only whoever the CRM tells the e-mail address of an active member."""


class Embed(models.Model):
    """The panel of one CRM account. Without a row it was never turned on."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, primary_key=True, related_name="embed"
    )
    turned_on_at = models.DateTimeField(null=True, blank=True)
    turned_on_by = models.CharField(max_length=64, null=True, blank=True)
    shown_to = models.CharField(max_length=8, choices=ShownTo, default=ShownTo.AGENTS)
    more_origins = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    """Pages that may frame the panel besides the account's own."""
    app_id = models.CharField(max_length=64, blank=True)
    """Of the installed app, where the CRM names it in what it signs."""
    public_key = models.TextField(blank=True)
    """In PEM, where the CRM signs with a private one."""
    sealed_secret = models.BinaryField(editable=False, null=True)
    """`base.sealed`, where it signs with a shared one."""
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="embed_is_turned_on_at_a_time_by_somebody_or_not",
                condition=Q(turned_on_at=None, turned_on_by=None)
                | Q(turned_on_at__isnull=False, turned_on_by__isnull=False),
            ),
            models.CheckConstraint(
                name="embed_is_shown_to_a_known_circle", condition=Q(shown_to__in=ShownTo.values)
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.connection_id)


class EmbedKeys(models.QuerySet["EmbedKey"]):
    def good(self) -> Self:
        return self.filter(revoked_at=None)

    def of_token(self, token: str) -> Self:
        return self.filter(token_sha256=digest(token))


class EmbedKey(models.Model):
    """What code of ours inside a CRM shows to ask for a link. It is shown once and not kept; two may be good at a
    time, so that one can take the place of the other."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="embed_keys")
    token_sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField(default=clock.now)
    made_by = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True, blank=True)
    """The last time, to the minute."""
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=64, null=True, blank=True)

    objects = EmbedKeys.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token_sha256"], name="embed_key_is_of_one_connection"),
            models.CheckConstraint(
                name="embed_key_keeps_a_digest_only", condition=Q(token_sha256__regex=SHA256_HEX)
            ),
            models.CheckConstraint(
                name="embed_key_revocation_has_a_time_and_an_author_or_neither",
                condition=Q(revoked_at=None, revoked_by=None)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)


class EmbedAgent(models.Model):
    """Somebody who works in the CRM, as the CRM named them: the author of what is heard and opened in the panel."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="embed_agents")
    agent_id = models.CharField(max_length=128)
    """The user's id at the CRM."""
    email = models.CharField(max_length=254, blank=True)
    """Only as the CRM itself told it; empty where it does not."""
    name = models.CharField(max_length=200, blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["connection", "agent_id"], name="agent_of_a_crm_is_known_once"),
            models.CheckConstraint(name="agent_of_a_crm_has_an_id", condition=~Q(agent_id="")),
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.agent_id

    @property
    def author(self) -> str:
        """As audit entries name it."""
        return f"agent:{ids.text(self.pk)}"

    def member(self) -> Member | None:
        """Who this is here, active or not, by the e-mail address the CRM vouches for."""
        if not self.email:
            return None
        return Member.objects.filter(workspace=self.workspace_id, email__iexact=self.email).first()


class EmbedSessions(models.QuerySet["EmbedSession"]):
    def with_whom(self) -> Self:
        """With everything that says whose session it is."""
        return self.select_related("agent", "connection__embed", "workspace")

    def live(self, at: datetime) -> Self:
        """Opened, not over, and the panel is still turned on."""
        return self.filter(
            opened_at__isnull=False,
            expires_at__gt=at,
            ends_at__gt=at,
            connection__removed_at=None,
            connection__embed__turned_on_at__isnull=False,
        )

    def of_token(self, token: str) -> Self:
        return self.filter(token_sha256=digest(token))

    def to_open(self, code: str, at: datetime) -> Self:
        return self.filter(
            code_sha256=digest(code),
            opened_at=None,
            expires_at__gt=at,
            connection__removed_at=None,
            connection__embed__turned_on_at__isnull=False,
        )


class EmbedSession(models.Model):
    """One panel on one screen: begun by what the CRM signed, or by a code that opens it once."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="embed_sessions")
    agent = models.ForeignKey(EmbedAgent, on_delete=models.PROTECT, related_name="sessions")
    object_type = models.CharField(max_length=24, blank=True)
    record_id = models.CharField(max_length=128, blank=True)
    """The record it is of. Both empty where the CRM signs for its whole account, and the page says which record."""
    proof_sha256 = models.CharField(max_length=64, null=True)
    """Of what was signed: the same proof does not count twice."""
    code_sha256 = models.CharField(max_length=64, null=True)
    token_sha256 = models.CharField(max_length=64, null=True)
    made_at = models.DateTimeField(default=clock.now)
    opened_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    """Until then the code, and afterwards the token, are good; an open panel moves it on."""
    ends_at = models.DateTimeField()

    objects = EmbedSessions.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["connection", "proof_sha256"], name="embed_proof_counts_once"),
            models.UniqueConstraint(fields=["code_sha256"], name="embed_code_is_of_one_session"),
            models.UniqueConstraint(fields=["token_sha256"], name="embed_token_is_of_one_session"),
            models.CheckConstraint(
                name="embed_session_has_a_token_exactly_once_opened",
                condition=Q(opened_at=None, token_sha256=None)
                | Q(opened_at__isnull=False, token_sha256__isnull=False),
            ),
            models.CheckConstraint(
                name="embed_session_begins_with_a_proof_or_a_code",
                condition=Q(proof_sha256__isnull=False) | Q(code_sha256__isnull=False),
            ),
            models.CheckConstraint(
                name="embed_session_keeps_digests_only",
                condition=(Q(proof_sha256=None) | Q(proof_sha256__regex=SHA256_HEX))
                & (Q(code_sha256=None) | Q(code_sha256__regex=SHA256_HEX))
                & (Q(token_sha256=None) | Q(token_sha256__regex=SHA256_HEX)),
            ),
            models.CheckConstraint(
                name="embed_session_is_of_a_whole_record_or_of_none",
                condition=Q(object_type="", record_id="") | (~Q(object_type="") & ~Q(record_id="")),
            ),
            models.CheckConstraint(
                name="embed_session_expires_before_it_ends", condition=Q(expires_at__lte=F("ends_at"))
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["ends_at"], name="embed_session_ended")]

    def __str__(self) -> str:
        return ids.text(self.id)

    def viewer(self) -> Member | None:
        """With whose rights its holder looks. An agent who is an agent here sees what their teams show; everybody
        else sees what an agent of no team sees, by a member that is never saved: no CRM can lend more than that.
        None for whoever may see nothing."""
        known = self.agent.member()
        if known is not None and not known.is_active:
            return None
        if known is not None and known.role == Role.AGENT:
            return known
        if known is None and self.connection.embed.shown_to == ShownTo.MEMBERS:
            return None
        language = known.language if known else self.workspace.language
        return Member(workspace=self.workspace, role=Role.AGENT, language=language)
