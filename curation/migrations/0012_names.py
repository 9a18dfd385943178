"""The columns and models under the field's names; no value changes.

A constraint or an index that names a renamed column is taken away before and made again after.
"""

from django.conf import settings
from django.db import migrations, models

Q, F = models.Q, models.F


class Migration(migrations.Migration):
    dependencies = [
        ("curation", "0011_slots_overlap"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint("assignment", "one_assignment_per_curator"),
        migrations.RemoveConstraint("assignment", "one_top_up_per_curator_and_ranking"),
        migrations.RemoveIndex("assignment", "open_by_value"),
        migrations.RemoveIndex("assignment", "open_by_chance"),
        migrations.RenameField("assignment", "is_top_up", "is_re_annotation"),
        migrations.RenameField("assignment", "value", "priority"),
        migrations.RenameField("assignment", "chance", "random_key"),
        migrations.RenameField("assignment", "drawn", "selection"),
        migrations.RenameField("assignment", "why", "reason_text"),
        migrations.AddConstraint(
            "assignment",
            models.UniqueConstraint(
                fields=["query", "curator"],
                condition=Q(curator__isnull=False, is_re_annotation=False),
                name="one_assignment_per_curator",
            ),
        ),
        migrations.AddConstraint(
            "assignment",
            models.UniqueConstraint(
                fields=["query", "curator", "ranking"],
                condition=Q(curator__isnull=False, is_re_annotation=True),
                name="one_re_annotation_per_curator_and_ranking",
            ),
        ),
        migrations.AddIndex(
            "assignment",
            models.Index(
                F("project"), F("priority").desc(), F("id"), condition=Q(state="open"), name="open_by_priority"
            ),
        ),
        migrations.AddIndex(
            "assignment",
            models.Index(fields=["project", "random_key"], condition=Q(state="open"), name="open_by_random_key"),
        ),
        migrations.RenameField("review", "why", "reason_text"),
        migrations.RemoveIndex("query", "query_to_pass_on"),
        migrations.RenameField("query", "passed_at", "propagated_at"),
        migrations.AddIndex(
            "query",
            models.Index(
                fields=["project", "settled_at"], condition=Q(propagated_at=None), name="query_to_propagate"
            ),
        ),
        migrations.RenameField("project", "reveal", "visibility"),
        migrations.RenameField("project", "passes_on", "propagates_grades"),
        migrations.RenameField("project", "judges_edits", "re_annotates_edits"),
        migrations.RenameField("release", "answering", "answer_mode"),
        migrations.RemoveConstraint("provisionalgrade", "one_offer_per_query_and_passage"),
        migrations.RemoveConstraint("provisionalgrade", "an_offered_grade_is_0_to_3"),
        migrations.RenameModel("ProvisionalGrade", "SuggestedGrade"),
        migrations.RenameField("suggestedgrade", "likeness", "similarity"),
        migrations.RenameIndex("suggestedgrade", new_name="suggested_grade_by_state", old_name="provisional_by_state"),
        migrations.AddConstraint(
            "suggestedgrade",
            models.UniqueConstraint(fields=["query", "passage"], name="one_suggested_grade_per_query_and_passage"),
        ),
        migrations.AddConstraint(
            "suggestedgrade", models.CheckConstraint(condition=Q(grade__lte=3), name="suggested_grade_is_0_to_3")
        ),
    ]
