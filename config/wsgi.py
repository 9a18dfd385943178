import gc
import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A thread back from the database waits so long, not five milliseconds, for one that renders a page.
sys.setswitchinterval(0.0005)
application = get_wsgi_application()
# What was loaded so far stays for good: no collection needs to look through it again, which would hold a request up.
gc.collect()
gc.freeze()
