"""What the database itself enforces or computes: the audit chain, folded search columns, the waveform's length."""

from django.db import migrations

AUDIT = """
CREATE FUNCTION acervo_audit_append() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    -- One writer a workspace at a time, until its transaction ends: numbers have no gaps and the chain no forks.
    PERFORM pg_advisory_xact_lock(hashtextextended('acervo.audit.' || NEW.workspace_id::text, 0));
    SELECT number, hash INTO last FROM acervo_auditentry
        WHERE workspace_id = NEW.workspace_id ORDER BY number DESC LIMIT 1;
    NEW.number := coalesce(last.number, 0) + 1;
    NEW.previous_hash := coalesce(last.hash, repeat('0', 64));
    NEW.hash := acervo_audit_hash(NEW);
    RETURN NEW;
END $$;

CREATE FUNCTION acervo_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are append-only' USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION acervo_audit_hash(entry acervo_auditentry) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        entry.previous_hash, entry.number, entry.id, entry.workspace_id,
        extract(epoch FROM entry.at), entry.by, entry.action, entry.subject_type, entry.subject_id,
        entry.reason, entry.details)::text, 'UTF8')), 'hex')
$$;

CREATE TRIGGER audit_is_chained BEFORE INSERT ON acervo_auditentry
    FOR EACH ROW EXECUTE FUNCTION acervo_audit_append();
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR DELETE ON acervo_auditentry
    FOR EACH ROW EXECUTE FUNCTION acervo_audit_refuse();
CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON acervo_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION acervo_audit_refuse();
"""

UNDO_AUDIT = """
DROP TRIGGER audit_is_chained ON acervo_auditentry;
DROP TRIGGER audit_is_never_changed ON acervo_auditentry;
DROP TRIGGER audit_is_never_emptied ON acervo_auditentry;
DROP FUNCTION acervo_audit_append();
DROP FUNCTION acervo_audit_refuse();
DROP FUNCTION acervo_audit_hash(acervo_auditentry);
"""

# Replaces unaccent, which the embedded build lacks. Folding «ões» to «ão» lets the Portuguese stemmer join
# singular and plural, which it does not by itself (portão, portões); measured in the stack notes.
SEARCH = """
CREATE FUNCTION acervo_fold(value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT regexp_replace(
        regexp_replace(normalize(lower(value), NFKD), '[\\u0300-\\u036f]', '', 'g'), 'oes\\M', 'ao', 'g')
$$;

ALTER TABLE acervo_mediafile ADD COLUMN search tsvector GENERATED ALWAYS AS (
    to_tsvector('portuguese'::regconfig, acervo_fold(coalesce(caption, '')))
    || to_tsvector('simple'::regconfig,
        acervo_fold(regexp_replace(coalesce(file_name, ''), '[^[:alnum:]]+', ' ', 'g')))
) STORED;
CREATE INDEX file_search ON acervo_mediafile USING gin (search) WITH (fastupdate = off);
-- With the default target the planner takes an unknown word for a common one and walks the whole archive.
ALTER TABLE acervo_mediafile ALTER search SET STATISTICS 2000;

ALTER TABLE acervo_person ADD COLUMN search tsvector GENERATED ALWAYS AS (
    to_tsvector('simple'::regconfig, acervo_fold(name))
) STORED;
CREATE INDEX person_search ON acervo_person USING gin (search) WITH (fastupdate = off);
"""

UNDO_SEARCH = """
ALTER TABLE acervo_mediafile DROP COLUMN search;
ALTER TABLE acervo_person DROP COLUMN search;
DROP FUNCTION acervo_fold(text);
"""

WAVEFORM = """
ALTER TABLE acervo_mediafile ADD CONSTRAINT waveform_has_160_points
    CHECK (waveform IS NULL OR octet_length(waveform) = 160);
"""

# Rows of these tables change several times in their first minutes, then never again.
VACUUM = """
ALTER TABLE acervo_mediafile SET (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 85);
ALTER TABLE acervo_receipt SET (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 90);
ALTER TABLE procrastinate_jobs SET (autovacuum_vacuum_scale_factor = 0.02, fillfactor = 80);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("acervo", "0001_tables"),
        ("procrastinate", "0041_post_retry_failed_job"),
    ]

    operations = [
        migrations.RunSQL(AUDIT, UNDO_AUDIT),
        migrations.RunSQL(SEARCH, UNDO_SEARCH),
        migrations.RunSQL(WAVEFORM, "ALTER TABLE acervo_mediafile DROP CONSTRAINT waveform_has_160_points;"),
        migrations.RunSQL(VACUUM, migrations.RunSQL.noop),
    ]
