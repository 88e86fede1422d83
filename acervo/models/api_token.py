"""A key for programs: what it may do, whose rights it has, how long it lasts; and answers kept for requests that are repeated."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import connections, models
from django.db.models import Q

from acervo.base import ids
from acervo.base.tokens import digest
from acervo.models.member import ABILITIES, Ability, Member, Role
from acervo.models.sealed import SHA256_HEX
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Collection


WINDOW = timedelta(minutes=1)
ANSWERS_KEPT_FOR = timedelta(hours=24)
# Counted where all processes see it, in one statement, so that two requests are never one.
COUNT = """
UPDATE acervo_apitoken SET last_used_at = %(at)s,
    window_requests = CASE WHEN window_began_at > %(ended)s THEN window_requests + 1 ELSE 1 END,
    window_began_at = CASE WHEN window_began_at > %(ended)s THEN window_began_at ELSE %(at)s END
WHERE id = %(id)s RETURNING window_requests, window_began_at
"""


class Scope(models.TextChoices):
    """What a token may be used for. Beyond that it may never do more than its member."""

    MEDIA_READ = "media:read", "media:read"
    MEDIA_WRITE = "media:write", "media:write"
    PEOPLE_READ = "people:read", "people:read"
    PEOPLE_WRITE = "people:write", "people:write"
    CONNECTIONS_READ = "connections:read", "connections:read"
    DELIVERIES_READ = "deliveries:read", "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write", "deliveries:write"
    SUBSCRIPTIONS_WRITE = "subscriptions:write", "subscriptions:write"


@dataclass(frozen=True, slots=True)
class Counted:
    """Requests of a token in its present minute, this one included."""

    requests: int
    ends_at: datetime


class ApiTokens(models.QuerySet["ApiToken"]):
    def visible_to(self, member: Member) -> Self:
        """One's own; all of the workspace, for those who connect systems."""
        found = self.filter(workspace=member.workspace_id) if member.is_active else self.none()
        return found if member.can(Ability.CONNECT) else found.filter(member=member)

    def live(self, at: datetime) -> Self:
        """Those that still open something."""
        is_running = Q(expires_at=None) | Q(expires_at__gt=at)
        return self.filter(is_running, revoked_at=None, member__is_active=True)

    def of_token(self, token: str) -> Self:
        return self.filter(token_sha256=digest(token))


class ApiToken(models.Model):
    """The token itself is shown once and not kept."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="api_tokens")
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="api_tokens")
    """Whose rights it has, as they are when it is used."""
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    """How it begins: enough to tell it from others."""
    token_sha256 = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=24))
    role = models.CharField(max_length=16, choices=Role, null=True)
    """Narrower than that of its member; None: the same."""
    made_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    window_began_at = models.DateTimeField(null=True)
    """When the minute began in which its requests are counted now."""
    window_requests = models.PositiveIntegerField(default=0)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=64, null=True)

    objects = ApiTokens.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token_sha256"], name="api_token_is_one_key"),
            models.CheckConstraint(
                name="api_token_keeps_a_digest_only", condition=Q(token_sha256__regex=SHA256_HEX)
            ),
            models.CheckConstraint(
                name="api_token_may_do_something_known",
                condition=Q(scopes__contained_by=Scope.values) & Q(scopes__len__gt=0),
            ),
            models.CheckConstraint(
                name="api_token_role_is_known", condition=Q(role=None) | Q(role__in=Role.values)
            ),
            models.CheckConstraint(
                name="api_token_revocation_has_a_time_and_an_author_or_neither",
                condition=Q(revoked_at=None, revoked_by=None)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["workspace", "-id"], name="api_token_newest")]

    def __str__(self) -> str:
        return ids.text(self.id)

    def state(self, at: datetime) -> str:
        """revoked, expired, left (its member was locked out) or live."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= at:
            return "expired"
        return "live" if self.member.is_active else "left"

    def acting(self) -> Member:
        """The member as far as this token reaches; never to be saved. A role that the member has outgrown, or lost,
        gives way to the member's own."""
        member = copy.copy(self.member)
        if self.role and self.role in narrower_roles(self.member):
            member.role = self.role
        return member

    def count_request(self, at: datetime) -> Counted:
        """It is used now."""
        with connections[ApiToken.objects.db].cursor() as cursor:
            cursor.execute(COUNT, {"id": self.pk, "at": at, "ended": at - WINDOW})
            requests, began_at = cursor.fetchone()
        return Counted(requests, began_at + WINDOW)


class KeptAnswers(models.QuerySet["KeptAnswer"]):
    def over(self, at: datetime) -> Self:
        """Those that nobody may ask for again."""
        return self.filter(at__lt=at - ANSWERS_KEPT_FOR)


class KeptAnswer(models.Model):
    """What a request with an Idempotency-Key was answered: its repetition gets the same, and does nothing."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="kept_answers")
    key = models.CharField(max_length=128)
    request_sha256 = models.CharField(max_length=64)
    """Of method, address and body: the same key with another request is a mistake of the caller."""
    status = models.PositiveSmallIntegerField(null=True)
    sealed_body = models.BinaryField(null=True, editable=False)
    """`base.sealed`: an answer may hold a secret that is shown once."""
    at = models.DateTimeField()

    objects = KeptAnswers.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token", "key"], name="request_is_answered_once_for_a_key"),
            models.CheckConstraint(
                name="kept_answer_knows_its_request", condition=Q(request_sha256__regex=SHA256_HEX)
            ),
            models.CheckConstraint(
                name="kept_answer_has_a_status_and_a_body_or_neither",
                condition=Q(status=None, sealed_body=None)
                | Q(status__isnull=False, sealed_body__isnull=False),
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["at"], name="kept_answer_oldest")]

    def __str__(self) -> str:
        return ids.text(self.id)


def narrower_roles(member: Member) -> Collection[str]:
    """Roles that may do nothing this member may not."""
    own = ABILITIES[member.role]
    return [role for role in Role.values if role != member.role and ABILITIES[role] <= own]


def by_token(token: ApiToken) -> str:
    """The author of what is done with it."""
    return f"token:{ids.text(token.pk)}"
