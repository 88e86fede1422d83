"""Where the bytes of a row lie, and with which key they are sealed."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

SHA256_HEX = r"^[0-9a-f]{64}$"


class Sealing(models.TextChoices):
    ACERVO = "acervo", "acervo"
    """Encrypted by us before it leaves the process."""
    STORAGE = "storage", "storage"
    """Encrypted by the object store: CDN and presigned delivery stay possible."""


class SealedObject(models.Model):
    """An object in the vault. All columns are null until the bytes are there and proven."""

    object_key = models.TextField(null=True, unique=True, editable=False)
    size_bytes = models.BigIntegerField(null=True, editable=False)
    sealed_bytes = models.BigIntegerField(null=True, editable=False)
    sha256 = models.CharField(
        max_length=64, null=True, editable=False, validators=[RegexValidator(SHA256_HEX)]
    )
    """Of the plain bytes, lower-case hex."""
    sealing = models.CharField(max_length=8, choices=Sealing, null=True, editable=False)
    seal_header = models.BinaryField(max_length=40, null=True, editable=False)
    data_key = models.ForeignKey(
        "acervo.DataKey", on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )

    class Meta:
        abstract = True


def sealed_object_constraints(noun: str) -> list[models.BaseConstraint]:
    """The rules of a place in the vault, named for the table that holds it."""
    empty = Q(object_key=None, size_bytes=None, sealed_bytes=None, sha256=None, sealing=None)
    full = Q(
        object_key__isnull=False,
        size_bytes__gte=0,
        sealed_bytes__gte=0,
        sha256__regex=SHA256_HEX,
        sealing__isnull=False,
    )
    ours = Q(seal_header__isnull=False, data_key__isnull=False)
    return [
        models.CheckConstraint(name=f"{noun}_has_a_whole_place_in_the_vault_or_none", condition=empty | full),
        models.CheckConstraint(
            name=f"{noun}_sealed_by_us_has_its_header_and_key",
            condition=Q(sealing=None) | Q(sealing=Sealing.STORAGE) | (Q(sealing=Sealing.ACERVO) & ours),
        ),
    ]
