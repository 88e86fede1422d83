"""PostgreSQL without installing PostgreSQL: our own small supervisor over the binaries of a wheel."""

from acervo.base.postgres.cluster import EmbeddedPostgres

__all__ = ["EmbeddedPostgres"]
