# A worker image for tests without the worker's packages: those of the host's environment are mounted read-only.
# Everything else is as in installer/worker_image/Dockerfile.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 forge \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /job --shell /usr/sbin/nologin forge \
 && python3 -m venv --without-pip /opt/venv \
 && mkdir -p /opt/forge/engine /opt/forge/resources /job \
 && chown 10001:10001 /job
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/forge PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001:10001
WORKDIR /job
CMD ["python", "-m", "engine.compute.worker", "/job"]
