"""A number being connected, step by step, and links with which somebody else does one of the steps."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import F, Q

from acervo.base import ids
from acervo.base.tokens import digest
from acervo.models.connection import Connection
from acervo.models.sealed import SHA256_HEX
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Step(models.TextChoices):
    """In their order."""

    PROVIDER = "provider", "provider"
    ACCESS = "access", "access"
    WEBHOOK = "webhook", "webhook"
    TEST = "test", "test"
    PRIVACY = "privacy", "privacy"


SENDABLE = (Step.ACCESS, Step.WEBHOOK)
"""Steps somebody without an account may do: they show nothing of the archive."""


class Setups(models.QuerySet["Setup"]):
    def visible_to(self, member: Member) -> Self:
        from acervo.models.member import Ability

        return self.filter(workspace=member.workspace_id) if member.can(Ability.CONNECT) else self.none()

    def unfinished(self) -> Self:
        return self.filter(finished_at=None, dropped_at=None)


class Setup(models.Model):
    """What somebody typed so far to connect a number. From the second step on the connection exists and takes files; the
    setup stays until the last step is done."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="setups")
    kind = models.CharField(max_length=24)
    """A key of `acervo.providers.PROVIDERS`."""
    name = models.CharField(max_length=80, blank=True)
    account_id = models.CharField(max_length=128, blank=True)
    options = models.JSONField(default=dict, blank=True)
    api_base = models.URLField(max_length=200, null=True, blank=True)
    sealed_secrets = models.BinaryField(editable=False, null=True)
    """`base.sealed`: JSON of name to secret, until the connection has them."""
    connection = models.OneToOneField(
        Connection, on_delete=models.PROTECT, null=True, blank=True, related_name="setup"
    )
    begun_at = models.DateTimeField(auto_now_add=True)
    begun_by = models.CharField(max_length=64)
    changed_at = models.DateTimeField(auto_now=True)

    told_at = models.DateTimeField(null=True)
    """When the provider took our address through its API."""
    settled_at = models.DateTimeField(null=True)
    """When somebody went on from the webhook: told, or pasted by hand."""
    tested_at = models.DateTimeField(null=True)
    test_skipped_at = models.DateTimeField(null=True)
    test_skip_reason = models.CharField(max_length=200, null=True)
    finished_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)
    dropped_by = models.CharField(max_length=64, null=True)

    objects = Setups.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="setup_is_not_both_finished_and_dropped",
                condition=Q(finished_at=None) | Q(dropped_at=None),
            ),
            models.CheckConstraint(
                name="finished_setup_has_a_connection",
                condition=Q(finished_at=None) | Q(connection__isnull=False),
            ),
            models.CheckConstraint(
                name="setup_that_has_no_use_for_secrets_keeps_none",
                condition=Q(sealed_secrets=None) | Q(connection=None, dropped_at=None),
            ),
            models.CheckConstraint(
                name="setup_drop_has_a_time_and_an_author_or_neither",
                condition=Q(dropped_at=None, dropped_by=None)
                | Q(dropped_at__isnull=False, dropped_by__isnull=False),
            ),
            models.CheckConstraint(
                name="setup_skips_its_test_with_a_reason",
                condition=Q(test_skipped_at=None, test_skip_reason=None)
                | Q(test_skipped_at__isnull=False, test_skip_reason__isnull=False),
            ),
            models.CheckConstraint(
                name="setup_is_tested_or_skips_its_test",
                condition=Q(tested_at=None) | Q(test_skipped_at=None),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)

    @property
    def is_over(self) -> bool:
        return bool(self.finished_at or self.dropped_at)

    @property
    def step(self) -> Step:
        """Where it goes on."""
        if self.connection_id is None:
            return Step.ACCESS
        if self.settled_at is None:
            return Step.WEBHOOK
        return Step.PRIVACY if self.tested_at or self.test_skipped_at else Step.TEST


class SetupLinks(models.QuerySet["SetupLink"]):
    def visible_to(self, member: Member) -> Self:
        return self.filter(setup__in=Setup.objects.visible_to(member))

    def open(self, at: datetime) -> Self:
        """Those that still let somebody in: whose step is still to be done."""
        is_to_do = Q(step=Step.ACCESS, setup__connection=None) | Q(
            step=Step.WEBHOOK, setup__connection__isnull=False, setup__settled_at=None
        )
        return self.filter(
            is_to_do,
            used_at=None,
            revoked_at=None,
            expires_at__gt=at,
            tries__lt=F("most_tries"),
            setup__finished_at=None,
            setup__dropped_at=None,
        )

    def of_token(self, token: str) -> Self:
        return self.filter(token_sha256=digest(token))


class SetupLink(models.Model):
    """One step of one setup, for whoever has the link. The link itself is shown once and not kept."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    setup = models.ForeignKey(Setup, on_delete=models.CASCADE, related_name="links")
    step = models.CharField(max_length=8, choices=[(step.value, step.value) for step in SENDABLE])
    token_sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField(auto_now_add=True)
    made_by = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    """How often something was sent with it."""
    most_tries = models.PositiveSmallIntegerField(default=30)
    used_at = models.DateTimeField(null=True)
    """When its step was done."""
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.CharField(max_length=64, null=True)

    objects = SetupLinks.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token_sha256"], name="setup_link_opens_one_step"),
            models.CheckConstraint(
                name="setup_link_keeps_a_digest_only", condition=Q(token_sha256__regex=SHA256_HEX)
            ),
            models.CheckConstraint(
                name="setup_link_is_for_a_step_that_can_be_sent", condition=Q(step__in=SENDABLE)
            ),
            models.CheckConstraint(
                name="setup_link_is_tried_so_often_and_no_more", condition=Q(tries__lte=F("most_tries"))
            ),
            models.CheckConstraint(
                name="setup_link_revocation_has_a_time_and_an_author_or_neither",
                condition=Q(revoked_at=None, revoked_by=None)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return ids.text(self.id)
