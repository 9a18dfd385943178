"""The WSGI application, tuned for short requests on several threads."""

import gc
import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A thread whose database call returned waits at most this long for a thread that renders a page; Python's default is
# five milliseconds.
sys.setswitchinterval(0.0005)
application = get_wsgi_application()
# All objects loaded so far stay until the process ends. Without the freeze each full garbage collection would scan
# them again and delay a request.
gc.collect()
gc.freeze()
