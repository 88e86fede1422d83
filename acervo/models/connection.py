"""A WhatsApp account or a CRM, with its sealed credentials."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from acervo.base import ids
from acervo.models.workspace import Workspace

if TYPE_CHECKING:
    from acervo.models.member import Member


class Purpose(models.TextChoices):
    PROVIDER = "provider", "provider"
    CRM = "crm", "crm"


class LegalBasis(models.TextChoices):
    """Why the law lets a company keep what customers send to a number (LGPD art. 7 and 11, GDPR art. 6 and 9)."""

    CONSENT = "consent", "consent"
    CONTRACT = "contract", "contract"
    LEGITIMATE_INTEREST = "legitimate_interest", "legitimate_interest"
    HEALTH_CARE = "health_care", "health_care"
    LEGAL_DUTY = "legal_duty", "legal_duty"


class OnRevoke(models.TextChoices):
    """What becomes of files whose sender took them back. That it happened is always written down."""

    KEEP = "keep", "keep"
    """They stay, and say that they were taken back."""
    HIDE = "hide", "hide"
    """Only those who decide see them."""
    DELETE = "delete", "delete"
    """Their bytes go; the row stays and says why."""


class Repairs(models.TextChoices):
    """What becomes of a file whose record in a CRM is not as we wrote it. A deleted record is never made anew unasked."""

    ALWAYS = "always", "always"
    """It is written again."""
    EMPTIED = "emptied", "emptied"
    """Only where fields were emptied; what somebody wrote instead is shown, and stays."""
    ASK = "ask", "ask"
    """It is shown, and a person says."""


RELATED_TYPES = ("deal", "ticket", "campaign")
"""What a file can be tied to besides its contact, in the words of the connectors."""


class Connections(models.QuerySet["Connection"]):
    def visible_to(self, member: Member) -> Self:
        found = self.filter(workspace=member.workspace_id) if member.is_active else self.none()
        limits = member.limits()
        if limits is None or any(limit.channels is None for limit in limits):
            return found
        channels = {channel for limit in limits for channel in limit.channels or ()}
        return found.filter(Q(purpose=Purpose.CRM) | Q(id__in=channels))

    def live(self) -> Self:
        """Neither removed nor paused."""
        return self.filter(removed_at=None, paused_at=None)

    def providers(self) -> Self:
        return self.filter(purpose=Purpose.PROVIDER)

    def crms(self) -> Self:
        return self.filter(purpose=Purpose.CRM)


class Connection(models.Model):
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="connections")
    purpose = models.CharField(max_length=8, choices=Purpose)
    kind = models.CharField(max_length=24)
    """A key of `acervo.providers.PROVIDERS` or `acervo.crms.CRMS`."""
    name = models.CharField(max_length=80)
    account_id = models.CharField(max_length=128)
    """The account at the vendor: Meta's phone number id, HubSpot's portal id."""
    options = models.JSONField(default=dict, blank=True)
    """Not secret: WABA id, remembered answers of a CRM."""
    sealed_secrets = models.BinaryField(editable=False)
    """`base.sealed`: JSON of name to secret."""
    api_base = models.URLField(max_length=200, null=True, blank=True)
    on_revoke = models.CharField(
        max_length=8, choices=OnRevoke, default=OnRevoke.KEEP, db_default=OnRevoke.KEEP
    )
    """Changed by `govern.connections.change_on_revoke`; holds for what is taken back from then on."""
    repairs = models.CharField(
        max_length=8, choices=Repairs, default=Repairs.ALWAYS, db_default=Repairs.ALWAYS
    )
    """Of a CRM: changed by `deliver.reconcile.change_repairs`."""
    ties_to = ArrayField(
        models.CharField(max_length=12),
        default=list,
        db_default=models.Value([], ArrayField(models.CharField(max_length=12))),
        blank=True,
    )
    """Of a CRM: new files go onto the only open one of these of their contact; see `deliver.associations`."""
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=64)

    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=64, null=True, blank=True)
    pause_reason = models.CharField(max_length=32, null=True, blank=True)
    """An outcome such as `token_revoked`, or `by_hand`."""
    legal_basis = models.CharField(max_length=20, choices=LegalBasis, null=True, blank=True)
    """None: nobody has said it yet."""
    previous_until = models.DateTimeField(null=True, blank=True)
    """Until when the secrets before the last change (`<name>_previous`) are accepted; None: without an end, or there
    are none."""
    removed_at = models.DateTimeField(null=True, blank=True)
    removed_by = models.CharField(max_length=64, null=True, blank=True)

    last_event_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_refusal = models.CharField(max_length=32, null=True, blank=True)
    last_refused_at = models.DateTimeField(null=True, blank=True)
    usage = models.JSONField(default=dict, blank=True)
    """What the vendor's headers last said of our allowance."""
    failures = models.JSONField(default=list, blank=True)
    """Unix seconds of refused downloads in the last hour; feeds the breaker."""
    breaker_open_until = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    """When the vendor was last asked whether this account is well."""
    check_code = models.CharField(max_length=32, null=True, blank=True)
    """`ok`, or the code of what it answered."""
    check_facts = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    """What it told besides, as of the last time it was well: quality, limits, when the token expires."""

    objects = Connections.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "kind", "account_id"],
                condition=Q(removed_at=None),
                name="account_is_connected_once_in_its_workspace",
            ),
            models.CheckConstraint(
                name="connection_pause_has_a_time_an_author_and_a_reason",
                condition=Q(paused_at=None, paused_by=None, pause_reason=None)
                | Q(paused_at__isnull=False, paused_by__isnull=False, pause_reason__isnull=False),
            ),
            models.CheckConstraint(
                name="connection_removal_has_a_time_and_an_author_or_neither",
                condition=Q(removed_at=None, removed_by=None)
                | Q(removed_at__isnull=False, removed_by__isnull=False),
            ),
            models.CheckConstraint(
                name="connection_check_has_a_time_and_a_code_or_neither",
                condition=Q(checked_at=None, check_code=None)
                | Q(checked_at__isnull=False, check_code__isnull=False),
            ),
            models.CheckConstraint(
                name="connection_legal_basis_is_known",
                condition=Q(legal_basis=None) | Q(legal_basis__in=LegalBasis.values),
            ),
            models.CheckConstraint(
                name="connection_purpose_is_known", condition=Q(purpose__in=Purpose.values)
            ),
            models.CheckConstraint(
                name="connection_on_revoke_is_known", condition=Q(on_revoke__in=OnRevoke.values)
            ),
            models.CheckConstraint(
                name="connection_repairs_are_known", condition=Q(repairs__in=Repairs.values)
            ),
            models.CheckConstraint(
                name="connection_ties_files_to_what_is_known",
                condition=Q(ties_to__contained_by=list(RELATED_TYPES)),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """removed, paused, waiting (never heard), resting (breaker open) or live."""
        from acervo.base import clock

        if self.removed_at:
            return "removed"
        if self.paused_at:
            return "paused"
        if self.breaker_open_until and self.breaker_open_until > clock.now():
            return "resting"
        return "live" if self.last_event_at or self.last_success_at else "waiting"

    def pause(self, *, by: str, reason: str, at: datetime) -> None:
        """Nothing is fetched or delivered until `resume`; webhooks are still accepted."""
        self.paused_at, self.paused_by, self.pause_reason = at, by, reason
        self.save(update_fields=["paused_at", "paused_by", "pause_reason"])

    def resume(self) -> None:
        self.paused_at = self.paused_by = self.pause_reason = None
        self.breaker_open_until, self.failures = None, []
        self.save(update_fields=["paused_at", "paused_by", "pause_reason", "breaker_open_until", "failures"])

    def remember(self, **options: Any) -> None:
        """Keep answers of the vendor for the next call."""
        self.options = {**self.options, **options}
        self.save(update_fields=["options"])
