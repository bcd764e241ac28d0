# Everything that serving needs, and pg_dump for backups. Settings come from the environment (docs/deploy.md).
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT=8000 MEDIA_DIR=/media CUTOVER_DIR=/media/cutover
WORKDIR /site

RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home ytv2 \
    && install --directory --owner ytv2 --group ytv2 --mode 0700 /media

COPY requirements.txt .
RUN pip install --no-cache-dir --no-compile --disable-pip-version-check --require-hashes -r requirements.txt

COPY . .
# The values are for this line only: collecting needs settings that start, not ones that work.
RUN DJANGO_ENV=production SECRET_KEY=for-this-line-only DATABASE_URL=postgres://nobody@localhost/none \
    ALLOWED_HOSTS=localhost python manage.py collectstatic --no-input

USER ytv2
VOLUME /media
EXPOSE 8000
CMD ["gunicorn", "ytv2.wsgi", "--access-logfile", "-"]
