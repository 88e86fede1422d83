"""The database as it was, after a test that committed.

Django would truncate every table, a hundred files anew each time, and then write all its permissions again: that was
half the time of the suite. Rows of the few tables that have any are deleted instead. The queue's tables, which Django
does not manage, are emptied with the others; migrations, content types and permissions stay.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test import TransactionTestCase

KEPT = ("django_migrations", "django_content_type", "auth_permission")
EMPTY = """
DO $$
DECLARE
    name text;
    is_used boolean;
BEGIN
    SET CONSTRAINTS ALL DEFERRED;
    ALTER TABLE acervo_auditentry DISABLE TRIGGER audit_is_never_changed;
    DELETE FROM acervo_auditentry;
    ALTER TABLE acervo_auditentry ENABLE TRIGGER audit_is_never_changed;
    FOR name IN
        SELECT format('%%I', relname) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> ALL (%s)
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO is_used;
        IF is_used THEN
            EXECUTE 'DELETE FROM ' || name;
        END IF;
    END LOOP;
END $$
"""


def empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute(EMPTY, [list(KEPT)])


def instead_of_flushing() -> None:
    """From now on, for every transactional test of this process."""

    def emptied(_: Any) -> None:
        empty()

    TransactionTestCase._fixture_teardown = emptied  # type: ignore[method-assign]
