"""Check whether a PostgreSQL and a Redis server answer: `python -m tests.reachable DATABASE_URL REDIS_URL`.

The exit status is 0 where both answer, else 1.
"""

import sys

import dj_database_url
import psycopg
from redis import Redis
from redis.exceptions import RedisError


def main(database_url: str, redis_url: str) -> int:
    config = dj_database_url.parse(database_url)
    try:
        psycopg.connect(
            host=config["HOST"],
            port=config["PORT"] or 5432,
            user=config["USER"],
            password=config["PASSWORD"] or None,
            dbname=config["NAME"],
            connect_timeout=3,
        ).close()
        Redis.from_url(redis_url, socket_connect_timeout=3).ping()
    except (psycopg.OperationalError, RedisError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
