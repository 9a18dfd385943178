"""A project with a long history and a long queue, written in SQL: a million assignments take a minute, not a day.

A tenth of the queries are settled, with their judgements, reviews and audit events. Half of the queries have a
priority, so that claims are made both at random and by priority.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from curation.models import Project

OVERLAP, SHOWN, PASSAGES = 3, 10, 1000
TABLES = (
    "query",
    "ranking",
    "shownpassage",
    "draft",
    "assignment",
    "judgement",
    "answer",
    "review",
    "settledgrade",
    "event",
)

# {first}…{last}: ids of the queries, and of their rankings, drafts and reviews. Every {settled}th query is settled.
_INSERTS = """
INSERT INTO curation_query (id, project_id, external_id, text, source, state, metadata, stratum, is_evaluation,
    asked_at, settled_at)
SELECT q, {project}, 'q' || q, 'How does thing ' || q || ' work when it rains in the mountains?', 'import',
    CASE WHEN q % {settled} = 0 THEN 'settled' ELSE 'open' END, '{{}}', '', q % 10 = 1, now() - interval '40 days',
    CASE WHEN q % {settled} = 0 THEN now() - (q % 30 + 1) * interval '1 day' END
FROM generate_series({first}, {last}) q;

INSERT INTO curation_ranking (id, query_id, mode, created_at)
SELECT q, q, 'given', now() FROM generate_series({first}, {last}) q;

INSERT INTO curation_shownpassage (ranking_id, passage_id, rank, score)
SELECT q, {passage} + (q * 7 + r * 101) % {passages}, r, 1.0 / r
FROM generate_series({first}, {last}) q, generate_series(1, {shown}) r;

INSERT INTO curation_draft (id, ranking_id, text, seconds, created_at)
SELECT q, q, 'Thing ' || q || ' works by the wind from the north. In the mountains it needs a second person.', 1, now()
FROM generate_series({first}, {last}) q;

INSERT INTO curation_assignment (project_id, query_id, slot, is_extra, state, curator_id, ranking_id, priority,
    random_key, reason_text, selection, "order", claimed_at, submitted_at, active_seconds, is_unanswerable,
    is_flagged, comment)
SELECT {project}, q, s, false, CASE WHEN q % {settled} = 0 THEN 'submitted' ELSE 'open' END,
    CASE WHEN q % {settled} = 0 THEN ({people})[1 + (q / {settled} + s) % {people_count}] END, q,
    CASE WHEN q % 2 = 0 THEN (q % 997) / 997.0 ELSE 0 END, (hashint8(q)::bigint + 2147483648) / 4294967296.0,
    CASE WHEN q % 2 = 0 THEN 'Nobody has judged what build 7 ranks second.' ELSE '' END,
    CASE WHEN q % {settled} = 0 THEN 'random' ELSE '' END, '[]',
    CASE WHEN q % {settled} = 0 THEN now() - (q % 30 + 1) * interval '1 day' END,
    CASE WHEN q % {settled} = 0 THEN now() - (q % 30 + 1) * interval '1 day' END, 60, false, false, ''
FROM generate_series({first}, {last}) q, generate_series(1, {overlap}) s;

INSERT INTO curation_judgement (assignment_id, query_id, passage_id, curator_id, grade, content_hash, evidence,
    active_seconds, comment, created_at, changed_at)
SELECT a.id, a.query_id, p.passage_id, a.curator_id,
    greatest(0, least(3, (a.query_id + p.rank) % 4 + CASE WHEN hashint8(a.id * 10 + p.rank) % 5 = 0 THEN 1 ELSE 0 END)),
    'hash', '[]', 6, '', now(), now()
FROM curation_assignment a JOIN curation_shownpassage p ON p.ranking_id = a.ranking_id
WHERE a.state = 'submitted' AND a.query_id BETWEEN {first} AND {last};

INSERT INTO curation_answer (assignment_id, query_id, curator_id, draft_id, text, citations, unsupported, created_at,
    changed_at)
SELECT a.id, a.query_id, a.curator_id, d.id, d.text, '[]', '[]', now(), now()
FROM curation_assignment a JOIN curation_draft d ON d.ranking_id = a.ranking_id
WHERE a.state = 'submitted' AND a.query_id BETWEEN {first} AND {last};

INSERT INTO curation_review (id, query_id, state, reason_text, comment, answer, is_unanswerable, created_at, decided_at)
SELECT q, q, 'settled', '', '', 'By the wind.', false, now(), now()
FROM generate_series({first}, {last}) q WHERE q % {settled} = 0;

INSERT INTO curation_settledgrade (review_id, passage_id, grade, judges, reliability, method)
SELECT p.ranking_id, p.passage_id, (p.ranking_id + p.rank) % 4, 3, 0.9, 'dawid_skene'
FROM curation_shownpassage p WHERE p.ranking_id BETWEEN {first} AND {last} AND p.ranking_id % {settled} = 0;

INSERT INTO curation_event (project_id, actor_id, verb, query_id, assignment_id, passage_id, data, idempotency_key, at)
SELECT {project}, j.curator_id, 'graded', j.query_id, j.assignment_id, j.passage_id, '{{"grade": 1}}',
    gen_random_uuid()::text, j.created_at
FROM curation_judgement j WHERE j.query_id BETWEEN {first} AND {last};
"""


def insert(project: Project, first_passage: int, people: Sequence[int], first: int, last: int) -> None:
    """Insert queries with the ids first … last, their slots and their history.

    first_passage: id of the first of PASSAGES consecutive passages; people: ids of the curators of settled queries.
    """
    values: dict[str, object] = {
        "project": project.pk,
        "passage": first_passage,
        "passages": PASSAGES,
        "shown": SHOWN,
        "overlap": OVERLAP,
    }
    values |= {"people": f"ARRAY[{','.join(str(pk) for pk in people)}]", "people_count": len(people)}
    values |= {"first": first, "last": last, "settled": 10}
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # skip the foreign key checks
        cursor.execute(_INSERTS.format(**values))
        cursor.execute("SET session_replication_role = DEFAULT")
        for table in TABLES:
            name = f"curation_{table}"
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
        cursor.execute("VACUUM ANALYZE")
