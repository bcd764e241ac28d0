"""How gunicorn serves the site: `gunicorn ytv2.wsgi` reads this file. It listens on PORT, if that is set.

WEB_CONCURRENCY sets the number of processes; each keeps one connection to PostgreSQL a thread.
"""

threads = 8
timeout = 60
# 500 values of a filter make a long line (contract/api.md: all of them, whole); the proxy in front bounds it.
limit_request_line = 0
