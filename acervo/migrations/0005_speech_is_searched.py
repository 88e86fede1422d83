"""Words of a transcript are found like words of a caption: folded, in any form of the word."""

from django.db import migrations

SEARCH = """
ALTER TABLE acervo_transcript ADD COLUMN search tsvector GENERATED ALWAYS AS (
    to_tsvector('portuguese'::regconfig, acervo_fold(text))
) STORED;
CREATE INDEX transcript_search ON acervo_transcript USING gin (search) WITH (fastupdate = off);
ALTER TABLE acervo_transcript ALTER search SET STATISTICS 2000;
"""


class Migration(migrations.Migration):
    dependencies = [("acervo", "0004_media_in_depth")]

    operations = [
        migrations.RunSQL(SEARCH, "ALTER TABLE acervo_transcript DROP COLUMN search;"),
    ]
