"""Django admin of curation.

Rows that acts write are read-only here. Admin actions change them through the same acts as the pages. Settings can be
edited, and each change is an event of the audit log.
"""

from curation.admin import annotation, events, projects, queries, releases, review

__all__ = ["annotation", "events", "projects", "queries", "releases", "review"]
