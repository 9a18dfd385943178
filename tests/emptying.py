"""Leave the database empty after a test whose transactions were real ones.

Django truncates every table for this, and PostgreSQL makes new files for each of them and their indexes: a second
and more, when a test has filled ten of sixty. Rows are deleted here, where there are any; content types and
permissions stay, which Django would delete and make again.
"""

from django.db import connection, transaction
from django.test import TransactionTestCase

KEPT = {"django_content_type", "auth_permission"}


def empty(_case: TransactionTestCase) -> None:
    """No row is left in any table of the applications."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    name = connection.ops.quote_name
    asked = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {name(table)})" for table in tables if table not in KEPT
    )
    with transaction.atomic(), connection.cursor() as cursor:  # keys to other tables are checked at its end
        cursor.execute(asked)
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {name(table)}")
