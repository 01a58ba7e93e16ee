# The application as an image: the packages are installed in the first stage, so that the second
# holds neither pip's cache nor a compiler.
FROM python:3.13-slim AS packages
COPY requirements.txt /
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /requirements.txt

FROM python:3.13-slim
# The same number everywhere, so that several containers can share one volume.
RUN groupadd --gid 10001 app && useradd --uid 10001 --gid app --no-create-home --home-dir /app app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    LOG_DIR=/app/logs UPLOAD_FOLDER=/app/uploads
WORKDIR /app
COPY --from=packages /venv /venv
COPY . .
# Compiled now, because the container may not write here later. A named volume takes over the
# owner of the folder it is mounted on.
RUN python -m compileall -q . && mkdir logs uploads instance secrets && chown app:app logs uploads instance secrets
USER app
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "deploy/healthcheck.py", "web"]
CMD ["python", "-m", "gunicorn", "-c", "gunicorn.conf.py", "--bind", "0.0.0.0:8000", "wsgi:app"]
