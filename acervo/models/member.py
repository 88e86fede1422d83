"""Our own users: who they are, what their role allows, which teams narrow what they see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from acervo.base import ids
from acervo.models.workspace import Workspace, default_language, default_time_zone


class Role(models.TextChoices):
    ADMINISTRATOR = "administrator", _("Administrator")
    MANAGER = "manager", _("Manager")
    AGENT = "agent", _("Agent")
    DPO = "dpo", _("Data-protection officer")
    AUDITOR = "auditor", _("Auditor")


class Ability(StrEnum):
    """What a member may do, besides reading what `visible_to` gives."""

    RETRY = "retry"
    """Try a capture or a delivery again, choose between CRM records."""
    CONNECT = "connect"
    """Make, change, pause and remove connections."""
    OPERATE = "operate"
    """See health, receipts and the unread."""
    READ_AUDIT = "read_audit"
    CONFIGURE = "configure"
    """Change what is made of files, how large they may be, who transcribes; lift a limit for one file."""
    DECIDE = "decide"
    """Release a file from quarantine, or leave it there."""
    EDIT = "edit"
    """Correct transcripts, ask for one; tag files."""
    ANSWER = "answer"
    """Write to a contact, ask for consent."""


ABILITIES: dict[str, frozenset[Ability]] = {
    Role.ADMINISTRATOR: frozenset(Ability),
    Role.MANAGER: frozenset({Ability.RETRY, Ability.OPERATE, Ability.EDIT, Ability.ANSWER}),
    Role.AGENT: frozenset({Ability.RETRY, Ability.EDIT, Ability.ANSWER}),
    Role.DPO: frozenset({Ability.OPERATE, Ability.READ_AUDIT, Ability.DECIDE}),
    Role.AUDITOR: frozenset({Ability.OPERATE, Ability.READ_AUDIT}),
}


class Team(models.Model):
    """A group of agents limited to some channels, some kinds of file, or both; empty means no limit."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="teams")
    name = models.CharField(max_length=80)
    channels = models.ManyToManyField("acervo.Connection", blank=True, related_name="teams")
    kinds = ArrayField(models.CharField(max_length=12), default=list, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("workspace", Lower("name"), name="team_name_is_unique_in_its_workspace")
        ]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Limit:
    """What one team lets its agents see; None means everything of that sort."""

    channels: frozenset[UUID] | None
    kinds: tuple[str, ...] | None

    @classmethod
    def of(cls, team: Team) -> Limit:
        return cls(
            frozenset(channel.pk for channel in team.channels.all()) or None, tuple(team.kinds) or None
        )


class Members(BaseUserManager["Member"]):
    def create_member(
        self, workspace: Workspace, email: str, password: str | None, role: str, **facts: Any
    ) -> Member:
        """`password=None` makes a member who can sign in only through a link or another identity."""
        member = self.model(workspace=workspace, email=self.normalize_email(email), role=role, **facts)
        member.set_password(password)
        member.save(using=self._db)
        return member

    def get_by_natural_key(self, username: str | None) -> Member:
        return self.get(email__iexact=username)


class Member(AbstractBaseUser):
    """A person of exactly one workspace (ADR 6): another workspace does not exist for them."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="members")
    email = models.EmailField()
    name = models.CharField(max_length=120, blank=True)
    role = models.CharField(max_length=16, choices=Role, default=Role.AGENT)
    teams = models.ManyToManyField(Team, blank=True, related_name="members")
    language = models.CharField(max_length=8, default=default_language)
    time_zone = models.CharField(max_length=64, default=default_time_zone)
    theme = models.CharField(
        max_length=6,
        choices=[("auto", _("Same as device")), ("light", _("Light")), ("dark", _("Dark"))],
        default="auto",
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[Members] = Members()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="member_email_is_unique"),
            models.CheckConstraint(name="member_role_is_known", condition=models.Q(role__in=Role.values)),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def can(self, ability: Ability) -> bool:
        return self.is_active and ability in ABILITIES[self.role]

    def limits(self) -> list[Limit] | None:
        """What the member's teams narrow the view to, one entry a team; None when nothing narrows it.
        Only agents are narrowed, and only once they belong to a team."""
        if self.role != Role.AGENT:
            return None
        teams = list(self.teams.prefetch_related("channels"))
        return [Limit.of(team) for team in teams] or None
