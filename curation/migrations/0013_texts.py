

import curation.models.projects
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('curation', '0012_names'),
        ('retrieval', '0005_texts'),
    ]

    operations = [
        migrations.AlterField(
            model_name='answer',
            name='unsupported',
            field=models.JSONField(blank=True, default=list, help_text='Character spans [start, end) that no passage supports.'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='comment',
            field=models.TextField(blank=True, help_text='Comment of a flag, a skip or a reviewer who sent it back.'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='is_extra',
            field=models.BooleanField(default=False, help_text='Submitted after its slot was filled: kept, but not counted.'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='is_re_annotation',
            field=models.BooleanField(db_default=False, default=False, help_text='Only passages that were edited after they were judged.'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='is_unanswerable',
            field=models.BooleanField(default=False, help_text='No answer in corpus.'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='order',
            field=models.JSONField(blank=True, default=list, help_text='Passage ids in the order shown to the person.'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='priority',
            field=models.FloatField(default=0, help_text='Expected benefit of a judgement; the highest is claimed first.'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='random_key',
            field=models.FloatField(default=0, help_text='Position in the random order.'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='reason_text',
            field=models.CharField(blank=True, help_text='The reason as text, in rows from before there were codes.', max_length=200),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='reasons',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list, help_text='Why the query was picked, as codes of core.labels.REASON_MESSAGES.'),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='selection',
            field=models.CharField(blank=True, choices=[('random', 'at random'), ('value', 'by priority'), ('gold', 'as a gold question'), ('chosen', 'chosen by the person'), ('confirmed', 'by confirming a suggested grade')], help_text='How the claim picked it.', max_length=10),
        ),
        migrations.AlterField(
            model_name='assignment',
            name='state',
            field=models.CharField(choices=[('open', 'open'), ('claimed', 'claimed'), ('submitted', 'submitted'), ('handed_back', 'skipped'), ('lapsed', 'expired')], default='open', max_length=12),
        ),
        migrations.AlterField(
            model_name='event',
            name='idempotency_key',
            field=models.CharField(blank=True, help_text='A second act with the same key has no effect.', max_length=80),
        ),
        migrations.AlterField(
            model_name='generator',
            name='adapter_path',
            field=models.TextField(blank=True, help_text='Folder of the LoRA adapter, under DATA_DIR.'),
        ),
        migrations.AlterField(
            model_name='generator',
            name='base_path',
            field=models.TextField(help_text='Folder or hub name of the base weights, or the address of a server.'),
        ),
        migrations.AlterField(
            model_name='judgement',
            name='content_hash',
            field=models.CharField(help_text="Hash of the passage's text when it was judged.", max_length=64),
        ),
        migrations.AlterField(
            model_name='judgement',
            name='evidence',
            field=models.JSONField(blank=True, default=list, help_text='Character spans [start, end) of the passage.'),
        ),
        migrations.AlterField(
            model_name='judgement',
            name='shown_position',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Position on the judge page, from 1.', null=True),
        ),
        migrations.AlterField(
            model_name='membership',
            name='claims',
            field=models.PositiveIntegerField(default=0, editable=False, help_text='Claims so far, without gold questions.'),
        ),
        migrations.AlterField(
            model_name='membership',
            name='daily_quota',
            field=models.PositiveIntegerField(default=0, help_text='Submits per day.', verbose_name='daily limit (0 = none)'),
        ),
        migrations.AlterField(
            model_name='membership',
            name='is_paused',
            field=models.BooleanField(default=False, verbose_name='paused'),
        ),
        migrations.AlterField(
            model_name='membership',
            name='random_claims',
            field=models.PositiveIntegerField(default=0, editable=False, help_text='How many of these claims were picked at random.'),
        ),
        migrations.AlterField(
            model_name='membership',
            name='role',
            field=models.CharField(choices=[('annotator', 'annotator'), ('reviewer', 'reviewer'), ('engineer', 'engineer'), ('manager', 'manager')], default='annotator', max_length=12, verbose_name='role'),
        ),
        migrations.AlterField(
            model_name='preferences',
            name='mark_words',
            field=models.BooleanField(default=True, verbose_name='highlight the words of the query in the passages'),
        ),
        migrations.AlterField(
            model_name='project',
            name='description',
            field=models.TextField(blank=True, verbose_name='description'),
        ),
        migrations.AlterField(
            model_name='project',
            name='gold_feedback',
            field=models.CharField(choices=[('at_once', 'at once'), ('later', 'later')], default='later', max_length=10, verbose_name='feedback on gold questions'),
        ),
        migrations.AlterField(
            model_name='project',
            name='gold_rate',
            field=models.FloatField(default=0.0, help_text='Share of claims that are gold questions.', validators=[django.core.validators.MinValueValidator(0.0), django.core.validators.MaxValueValidator(1.0)], verbose_name='share of gold questions'),
        ),
        migrations.AlterField(
            model_name='project',
            name='grades',
            field=models.JSONField(default=curation.models.projects.default_grades, help_text='Labels and descriptions of 0–3; locked after the first judgement.', verbose_name='grades'),
        ),
        migrations.AlterField(
            model_name='project',
            name='language',
            field=models.CharField(choices=[('en', 'English'), ('zh-hans', 'Simplified Chinese')], default='en', max_length=10, verbose_name='language of the corpus'),
        ),
        migrations.AlterField(
            model_name='project',
            name='lease_seconds',
            field=models.PositiveIntegerField(default=900, help_text='How long a claimed query stays reserved without activity.', validators=[django.core.validators.MinValueValidator(30)], verbose_name='reservation time in seconds'),
        ),
        migrations.AlterField(
            model_name='project',
            name='name',
            field=models.CharField(max_length=200, verbose_name='name'),
        ),
        migrations.AlterField(
            model_name='project',
            name='overlap',
            field=models.PositiveSmallIntegerField(default=1, help_text='How many people judge each query.', validators=[django.core.validators.MinValueValidator(1)], verbose_name='annotators per query'),
        ),
        migrations.AlterField(
            model_name='project',
            name='pool_depth',
            field=models.PositiveSmallIntegerField(default=10, help_text='How many passages of the ranking are judged.', verbose_name='passages per query'),
        ),
        migrations.AlterField(
            model_name='project',
            name='propagates_grades',
            field=models.BooleanField(db_default=True, default=True, help_text='Suggest resolved grades for near-duplicates and paraphrases; a reviewer confirms them.', verbose_name='suggest grades for near-duplicates'),
        ),
        migrations.AlterField(
            model_name='project',
            name='random_share',
            field=models.FloatField(default=0.5, help_text='Share of claims picked at random; the others are picked by priority.', validators=[django.core.validators.MinValueValidator(0.5), django.core.validators.MaxValueValidator(1.0)], verbose_name='random share of the queue'),
        ),
        migrations.AlterField(
            model_name='project',
            name='re_annotates_edits',
            field=models.BooleanField(db_default=False, default=False, help_text='Queue the new text of a judged passage automatically.', verbose_name='re-annotate edited passages'),
        ),
        migrations.AlterField(
            model_name='project',
            name='review_gap',
            field=models.PositiveSmallIntegerField(default=2, help_text='A query goes to a reviewer where grades differ by this much.', verbose_name='grade difference that needs a review'),
        ),
        migrations.AlterField(
            model_name='project',
            name='slots_overlap',
            field=models.PositiveSmallIntegerField(blank=True, editable=False, help_text='The overlap that the slots of open queries follow.', null=True),
        ),
        migrations.AlterField(
            model_name='project',
            name='visibility',
            field=models.CharField(choices=[('never', 'never'), ('after_submit', "after one's own submit")], default='after_submit', max_length=20, verbose_name="show others' grades"),
        ),
        migrations.AlterField(
            model_name='query',
            name='disagreement',
            field=models.FloatField(blank=True, help_text='Divergence of retriever and language model in the last training, 0–1; empty: unknown.', null=True),
        ),
        migrations.AlterField(
            model_name='query',
            name='gold',
            field=models.JSONField(blank=True, help_text='Passage id → known grade; set for gold questions.', null=True),
        ),
        migrations.AlterField(
            model_name='query',
            name='is_evaluation',
            field=models.BooleanField(default=False, help_text='In the random evaluation sample; never picked by priority.'),
        ),
        migrations.AlterField(
            model_name='query',
            name='overlap',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Empty: as many as the project says.', null=True, verbose_name='annotators of this query'),
        ),
        migrations.AlterField(
            model_name='query',
            name='propagated_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='When grades were last suggested from this query; empty: due.', null=True),
        ),
        migrations.AlterField(
            model_name='query',
            name='state',
            field=models.CharField(choices=[('open', 'open'), ('judged', 'judged'), ('in_review', 'in review'), ('settled', 'resolved')], default='open', max_length=10),
        ),
        migrations.AlterField(
            model_name='query',
            name='stratum',
            field=models.CharField(blank=True, help_text='The document of its first passage; groups queries of one topic.', max_length=100),
        ),
        migrations.AlterField(
            model_name='query',
            name='text_key',
            field=models.CharField(db_default='', editable=False, help_text='Key of the text; equal for repeated queries.', max_length=16),
        ),
        migrations.AlterField(
            model_name='queryvector',
            name='text_key',
            field=models.CharField(help_text='Key of the encoded text.', max_length=16),
        ),
        migrations.AlterField(
            model_name='queryvector',
            name='values',
            field=models.BinaryField(help_text='float16 values of a vector of unit length.'),
        ),
        migrations.AlterField(
            model_name='ranking',
            name='mode',
            field=models.CharField(choices=[('hybrid', 'hybrid of dense and lexical'), ('reranked', 'hybrid, first passages reranked'), ('given', 'imported')], default='hybrid', max_length=10),
        ),
        migrations.AlterField(
            model_name='release',
            name='answer_mode',
            field=models.CharField(choices=[('together', 'one prompt with the first passages'), ('parallel', 'one prompt per passage, ensemble weighted by p_R')], default='together', max_length=10),
        ),
        migrations.AlterField(
            model_name='release',
            name='fusion_weight',
            field=models.FloatField(default=0.65, help_text='Weight of the dense score, 0–1.', validators=[django.core.validators.MinValueValidator(0.0), django.core.validators.MaxValueValidator(1.0)], verbose_name='dense weight'),
        ),
        migrations.AlterField(
            model_name='release',
            name='judged_share',
            field=models.FloatField(blank=True, help_text='judged@10 on the test split.', null=True, validators=[django.core.validators.MinValueValidator(0.0), django.core.validators.MaxValueValidator(1.0)]),
        ),
        migrations.AlterField(
            model_name='release',
            name='number',
            field=models.PositiveIntegerField(help_text='1, 2, 3 … in the project; 1 is the untuned base release.'),
        ),
        migrations.AlterField(
            model_name='release',
            name='previous',
            field=models.ForeignKey(blank=True, help_text='The release that was live before this one.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='curation.release'),
        ),
        migrations.AlterField(
            model_name='release',
            name='prompt',
            field=models.TextField(help_text='Template with {passages} and {question}.'),
        ),
        migrations.AlterField(
            model_name='release',
            name='refusal',
            field=models.CharField(help_text='The answer when the passages contain none.', max_length=300),
        ),
        migrations.AlterField(
            model_name='release',
            name='rerank_depth',
            field=models.PositiveSmallIntegerField(default=20, help_text='How many passages of the hybrid ranking are reranked.'),
        ),
        migrations.AlterField(
            model_name='release',
            name='rerank_share',
            field=models.FloatField(default=0.5, help_text="Weight of the reranker's score against the hybrid score, 0–1.", validators=[django.core.validators.MinValueValidator(0.0), django.core.validators.MaxValueValidator(1.0)]),
        ),
        migrations.AlterField(
            model_name='release',
            name='reranker',
            field=models.ForeignKey(blank=True, help_text='Empty: the hybrid ranking is final.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='releases', to='retrieval.reranker'),
        ),
        migrations.AlterField(
            model_name='release',
            name='state',
            field=models.CharField(choices=[('candidate', 'candidate'), ('serving', 'live'), ('retired', 'retired'), ('declined', 'declined')], default='candidate', max_length=10),
        ),
        migrations.AlterField(
            model_name='review',
            name='answer',
            field=models.TextField(blank=True, help_text='The resolved answer; empty when there is none.'),
        ),
        migrations.AlterField(
            model_name='review',
            name='reason_text',
            field=models.CharField(blank=True, help_text='The reason as text, in rows from before there were codes.', max_length=300),
        ),
        migrations.AlterField(
            model_name='review',
            name='reasons',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list, help_text='Why it went to a reviewer, as codes of core.labels.REASON_MESSAGES.'),
        ),
        migrations.AlterField(
            model_name='review',
            name='state',
            field=models.CharField(choices=[('waiting', 'waiting'), ('settled', 'resolved'), ('returned', 'returned'), ('reopened', 'reopened')], default='waiting', max_length=10),
        ),
        migrations.AlterField(
            model_name='settledgrade',
            name='grade',
            field=models.FloatField(help_text='0–3; a consensus may lie between two grades.'),
        ),
        migrations.AlterField(
            model_name='settledgrade',
            name='method',
            field=models.CharField(choices=[('sole', 'one annotator'), ('median', 'median'), ('dawid_skene', 'Dawid–Skene'), ('reviewer', 'reviewer'), ('confirmed', 'suggested and confirmed')], max_length=12),
        ),
        migrations.AlterField(
            model_name='settledgrade',
            name='reliability',
            field=models.FloatField(default=1, help_text='Confidence of the consensus, 0–1.'),
        ),
        migrations.AlterField(
            model_name='suggestedgrade',
            name='judgement',
            field=models.OneToOneField(blank=True, help_text='The judgement that its confirmation created.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='origin', to='curation.judgement'),
        ),
        migrations.AlterField(
            model_name='suggestedgrade',
            name='kind',
            field=models.CharField(choices=[('passage', 'near-duplicate passage'), ('query', 'paraphrased query'), ('meaning', 'semantically equal query')], max_length=10),
        ),
        migrations.AlterField(
            model_name='suggestedgrade',
            name='passage',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='suggested_grades', to='retrieval.passage'),
        ),
        migrations.AlterField(
            model_name='suggestedgrade',
            name='project',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='suggested_grades', to='curation.project'),
        ),
        migrations.AlterField(
            model_name='suggestedgrade',
            name='query',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='suggested_grades', to='curation.query'),
        ),
        migrations.AlterField(
            model_name='suggestedgrade',
            name='similarity',
            field=models.FloatField(help_text='Similarity of the two passages or the two queries, 0–1.'),
        ),
        migrations.AlterField(
            model_name='suggestedgrade',
            name='state',
            field=models.CharField(choices=[('waiting', 'waiting'), ('confirmed', 'confirmed'), ('refused', 'rejected'), ('overtaken', 'outdated')], default='waiting', max_length=10),
        ),
    ]
