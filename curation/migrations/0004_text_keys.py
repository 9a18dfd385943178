"""The name of the text of queries that were there before names were kept."""

from django.db import migrations

from curation.engine.text.similarity import text_key

AT_ONCE = 500


def fill(apps, schema_editor):
    Query = apps.get_model("curation", "Query")
    nameless = Query.objects.filter(text_key="").order_by("pk")
    last = 0
    while rows := list(nameless.filter(pk__gt=last).only("pk", "text")[:AT_ONCE]):
        for row in rows:
            row.text_key = text_key(row.text)
        Query.objects.bulk_update(rows, ["text_key"])
        last = rows[-1].pk


class Migration(migrations.Migration):
    dependencies = [("curation", "0003_queue")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
