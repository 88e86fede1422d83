"""The one Django app."""

from __future__ import annotations

from django.apps import AppConfig


class AcervoConfig(AppConfig):
    name = "acervo"
    verbose_name = "Acervo"

    def ready(self) -> None:
        from acervo import checks  # noqa: F401  (registers the system checks)
