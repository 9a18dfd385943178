"""The columns and models under the field's names; no value changes.

A constraint that names a renamed column is taken away before and made again after.
"""

from django.db import migrations, models

UNFINISHED = models.Q(state__in=["queued", "running"])


class Migration(migrations.Migration):
    dependencies = [
        ("tuning", "0007_reranker"),
        ("curation", "0012_names"),
    ]

    operations = [
        migrations.RemoveConstraint("turn", "one_unfinished_turn_per_project"),
        migrations.RemoveConstraint("run", "one_run_per_part_and_turn"),
        migrations.RenameModel("Turn", "Cycle"),
        migrations.RenameField("run", "turn", "cycle"),
        migrations.RenameField("run", "part", "component"),
        migrations.RenameField("evaluation", "turn", "cycle"),
        migrations.AddConstraint(
            "cycle",
            models.UniqueConstraint(fields=["project"], condition=UNFINISHED, name="one_unfinished_cycle_per_project"),
        ),
        migrations.AddConstraint(
            "run", models.UniqueConstraint(fields=["cycle", "component"], name="one_run_per_component_and_cycle")
        ),
        migrations.RemoveConstraint("curve", "one_unfinished_curve_per_project"),
        migrations.RenameModel("Curve", "LearningCurve"),
        migrations.RenameField("learningcurve", "part", "component"),
        migrations.AddConstraint(
            "learningcurve",
            models.UniqueConstraint(
                fields=["project"], condition=UNFINISHED, name="one_unfinished_learning_curve_per_project"
            ),
        ),
        migrations.RenameField("policy", "least_new_queries", "min_new_queries"),
        migrations.RenameField("policy", "most_every_hours", "min_hours_between"),
        migrations.RenameField("policy", "asks", "target_rule"),
        migrations.RenameField("policy", "guard_rule", "guardrail_rule"),
        migrations.RenameField("policy", "guard_margin", "guardrail_margin"),
        migrations.RenameField("policy", "log_margin", "log_prob_margin"),
        migrations.RenameField("policy", "least_judged", "min_judged"),
        migrations.RenameField("policy", "most_rerank_ms", "max_rerank_ms"),
        migrations.RemoveConstraint("guardset", "one_guard_set_per_name"),
        migrations.RenameModel("GuardSet", "GuardrailSet"),
        migrations.AddConstraint(
            "guardrailset", models.UniqueConstraint(fields=["project", "name"], name="one_guardrail_set_per_name")
        ),
        migrations.RenameModel("Pair", "ComparisonPair"),
    ]
