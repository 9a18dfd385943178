"""Hot reads: the rows that every key press and every claim reads, by hand-written SQL (see `common.raw_query`)."""

from __future__ import annotations

from django.db.models import Subquery

from common.raw_query import RawQuery
from curation.models import Answer, Assignment, Draft, Judgement, Membership
from retrieval.models import Passage

# assignment id → the assignment, locked
locked_assignment = RawQuery(
    Assignment,
    'SELECT {columns} FROM "curation_assignment" WHERE "curation_assignment"."id" = %s{lock}',
    lambda pk: Assignment.objects.select_for_update(no_key=True, of=("self",)).filter(pk=pk),
)
# project id, user id → the membership, locked
locked_membership = RawQuery(
    Membership,
    'SELECT {columns} FROM "curation_membership" '
    'WHERE ("curation_membership"."project_id" = %s AND "curation_membership"."user_id" = %s){lock}',
    lambda project_id, user_id: Membership.objects.select_for_update(no_key=True, of=("self",)).filter(
        project_id=project_id, user_id=user_id
    ),
)
# user id, project id, "claimed" → the assignments that the person has claimed, oldest claim first, locked
claimed_assignments = RawQuery(
    Assignment,
    'SELECT {columns} FROM "curation_assignment" '
    'WHERE ("curation_assignment"."curator_id" = %s AND "curation_assignment"."project_id" = %s'
    ' AND "curation_assignment"."state" = %s) ORDER BY "curation_assignment"."claimed_at" ASC{lock}',
    lambda user_id, project_id, state: (
        Assignment.objects.filter(curator_id=user_id, project_id=project_id, state=state)
        .order_by("claimed_at")
        .select_for_update(no_key=True, of=("self",))
    ),
)
# assignment id, passage id, passage id → the passage, with the id of its judgement that stands as `judgement_id`
passage_to_grade = RawQuery(
    Passage,
    'SELECT {columns}, (SELECT U0."id" AS "pk" FROM "curation_judgement" U0 '
    'WHERE (U0."withdrawn_at" IS NULL AND U0."assignment_id" = %s AND U0."passage_id" = %s)) AS "judgement_id" '
    'FROM "retrieval_passage" WHERE "retrieval_passage"."id" = %s',
    lambda assignment_id, passage_id, pk: Passage.objects.annotate(
        judgement_id=Subquery(
            Judgement.objects.not_withdrawn().filter(assignment_id=assignment_id, passage_id=passage_id).values("pk")
        )
    ).filter(pk=pk),
)
# judgement id → the judgement
judgement_by_id = RawQuery(
    Judgement,
    'SELECT {columns} FROM "curation_judgement" WHERE "curation_judgement"."id" = %s',
    lambda pk: Judgement.objects.filter(pk=pk),
)
# assignment id → all judgements that stand
standing_judgements = RawQuery(
    Judgement,
    'SELECT {columns} FROM "curation_judgement" '
    'WHERE ("curation_judgement"."withdrawn_at" IS NULL AND "curation_judgement"."assignment_id" = %s)',
    lambda assignment_id: Judgement.objects.not_withdrawn().filter(assignment_id=assignment_id),
)
# assignment id → the answer
answer_of_assignment = RawQuery(
    Answer,
    'SELECT {columns} FROM "curation_answer" WHERE "curation_answer"."assignment_id" = %s',
    lambda assignment_id: Answer.objects.filter(assignment_id=assignment_id),
)
# ranking id → the draft
draft_of_ranking = RawQuery(
    Draft,
    'SELECT {columns} FROM "curation_draft" WHERE "curation_draft"."ranking_id" = %s',
    lambda ranking_id: Draft.objects.filter(ranking_id=ranking_id),
)
