"""Delete all rows after a test with real transactions.

Django truncates every table. On PostgreSQL this makes new files for each table and its indexes and takes a second or
more, where a test has filled ten of sixty tables. Here only the rows of filled tables are deleted. Content types and
permissions stay; Django would delete and create them again.
"""

from django.db import connection, transaction
from django.test import TransactionTestCase

KEEP_TABLES = {"django_content_type", "auth_permission"}


def delete_all_rows(_case: TransactionTestCase) -> None:
    """Delete the rows of all tables of the applications except KEEP_TABLES."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    quote = connection.ops.quote_name
    select_filled = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {quote(table)})" for table in tables if table not in KEEP_TABLES
    )
    with transaction.atomic(), connection.cursor() as cursor:  # foreign keys are checked at its end
        cursor.execute(select_filled)
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {quote(table)}")
